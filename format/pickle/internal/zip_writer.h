// SPDX-License-Identifier: Apache-2.0
// A ZIP file as torch.save lays it out: members stored, their bytes at multiples of 64 (an extra
// field "FB" of letters Z fills the gap). Dates are 1980-01-01. The ZIP64 end record is always
// there; the other fields of ZIP64 only where a number needs them.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "format/base/progress.h"

namespace organ::format::internal {

// Writes to an empty file; equal members give equal bytes. Throws io, cancelled, and what a Read
// throws; what is written by then stays, and is no ZIP file before finish() has returned.
class ZipWriter {
 public:
  // Borrows the subject. `fd` stays the caller's and stands at byte 0; it must allow writing at a
  // place (the checksum goes into the header when the bytes are known), so no O_APPEND.
  ZipWriter(int fd, std::string_view subject) : fd_(fd), subject_(subject) {}

  // Gives `out.size()` bytes from `offset` of the member on; called in order.
  using Read = std::function<void(std::uint64_t offset, std::span<std::byte> out)>;
  // The name is taken as it is: unlike all others, and one that read_zip() takes. Bytes are asked
  // for in pieces of at most 1 MiB, of an empty member none; `work` is told of them.
  void add(const std::string& name, std::uint64_t size, const Read& read, const Work& work = {});
  void add(const std::string& name, std::string_view text);
  // Once, as the last call. Neither syncs nor closes the file.
  void finish();  // the directory

 private:
  int fd_;
  std::string_view subject_;
  std::uint64_t at_ = 0;
  std::uint64_t count_ = 0;
  std::string directory_;
};

}  // namespace organ::format::internal
