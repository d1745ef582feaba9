// SPDX-License-Identifier: Apache-2.0
// A ZIP file as torch.save lays it out: members stored, their bytes at multiples of 64.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "format/base/progress.h"

namespace organ::format::internal {

// Writes to an empty file; equal members give equal bytes. Throws io, cancelled.
class ZipWriter {
 public:
  // Borrows the subject.
  ZipWriter(int fd, std::string_view subject) : fd_(fd), subject_(subject) {}

  // Gives `out.size()` bytes from `offset` of the member on; called in order.
  using Read = std::function<void(std::uint64_t offset, std::span<std::byte> out)>;
  void add(const std::string& name, std::uint64_t size, const Read& read, const Work& work = {});
  void add(const std::string& name, std::string_view text);
  void finish();  // the directory

 private:
  int fd_;
  std::string_view subject_;
  std::uint64_t at_ = 0;
  std::uint64_t count_ = 0;
  std::string directory_;
};

}  // namespace organ::format::internal
