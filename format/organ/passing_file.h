// SPDX-License-Identifier: Apache-2.0
// A file of an organ that is checked while it is fetched, so that nobody reads it a second time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "format/base/finding.h"
#include "format/manifest/manifest.h"
#include "format/organ/organ_source.h"

namespace organ::format {

// Looks at bytes whose pieces were found right (FileEntry::chunks): whether the other digests of
// the manifest agree with them, and the file's own header; and where they are no finite numbers.
// Not thread-safe.
class PassingFile {
 public:
  // Borrows both until finish(). `fd` is open for reading.
  PassingFile(const FileEntry& entry, int fd);
  ~PassingFile();
  PassingFile(const PassingFile&) = delete;
  PassingFile& operator=(const PassingFile&) = delete;

  // Reads the next bytes of the file, up to `end` (from its first byte; nothing when so much was
  // read). Throws corrupt when it ends before, io.
  void read_to(std::uint64_t end);
  // After the last byte, once: nothing when the manifest contradicts the file; verify_contents()
  // says how. Leaves PassedFile::stamp to the caller, who knows when nobody writes it any more.
  // Throws io, internal when bytes are left to read.
  std::optional<PassedFile> finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace organ::format
