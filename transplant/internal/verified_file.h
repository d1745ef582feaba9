// SPDX-License-Identifier: Apache-2.0
// Bytes of an organ that are used only after their digest was checked: the file may change
// between the verification of the organ and the moment its bytes are copied.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "format/organ/organ_source.h"

namespace organ::transplant {

// One file of an organ, read in pieces of kChunkSize that are hashed against the manifest before
// a byte of them is given away. Open only while a piece is read: an organ may have more layers than
// a process may open files. Remembers the last piece but for that at the file's end. Not
// thread-safe; borrows organ and entry.
class VerifiedFile {
 public:
  VerifiedFile(const format::OrganSource& organ, const format::FileEntry& entry);

  // Throws corrupt naming the damaged bytes; not_found, io.
  void read(std::uint64_t offset, std::span<std::byte> out);

 private:
  void load(std::uint64_t chunk);

  const format::OrganSource& organ_;
  const format::FileEntry& entry_;
  std::string subject_;
  std::optional<std::uint64_t> loaded_;
  std::vector<std::byte> bytes_;
};

}  // namespace organ::transplant
