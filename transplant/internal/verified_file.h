// SPDX-License-Identifier: Apache-2.0
// Bytes of an organ that are used only after their digest was checked: the file may change
// between the verification of the organ and the moment its bytes are copied.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "format/base/digest.h"
#include "format/organ/organ_source.h"

namespace organ::transplant {

// One file of an organ, read in pieces of kChunkSize that are hashed against the manifest before
// a byte of them is given away. Open only while a piece is read: an organ may have more layers than
// a process may open files. Holds one piece, until its tensors were read. Whatever the order in
// which tensors are asked for, no byte is read from the file more than twice: of a piece that is
// given up before, the digests of its tensors' parts are kept, and each is read alone later. Not
// thread-safe; borrows organ and entry.
class VerifiedFile {
 public:
  VerifiedFile(const format::OrganSource& organ, const format::FileEntry& entry);

  // Fills `out` with the bytes from `offset` of the file on, all of them verified; the range lies
  // within the entry's size. Throws corrupt naming the damaged bytes; not_found, io: `out` is then
  // filled in part.
  void read(std::uint64_t offset, std::span<std::byte> out);

 private:
  // A tensor's bytes inside one piece, or what lies between tensors.
  struct Part {
    std::uint64_t end = 0;
    Digest digest;
  };

  bool holds(std::uint64_t offset) const;
  void hold(std::uint64_t offset);
  void load(std::uint64_t start, std::uint64_t end, const Digest& expected);
  std::uint64_t tensor_bytes(std::uint64_t start, std::uint64_t end) const;
  void keep_parts();
  void release();

  const format::OrganSource& organ_;
  const format::FileEntry& entry_;
  std::string subject_;
  std::vector<std::uint64_t> edges_;  // where tensors begin and end, ascending
  std::vector<std::byte> bytes_;      // from start_ of the file on; empty: holds nothing
  std::uint64_t start_ = 0;
  std::uint64_t unread_ = 0;             // bytes of tensors among them that nobody read yet
  std::map<std::uint64_t, Part> parts_;  // by where they begin
};

}  // namespace organ::transplant
