// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "format/base/file.h"

namespace organ::registry {

inline constexpr std::uint64_t kLineLimit = 64 << 10;
inline constexpr std::uint64_t kReadSize = 1 << 20;

// Lines of the log from an offset on, with the number of bytes behind each.
class LineReader {
 public:
  LineReader(int fd, std::uint64_t offset, std::string subject)
      : fd_(fd), subject_(std::move(subject)), next_(offset), end_(file_size(fd, subject_)) {}

  std::uint64_t remaining() const { return end_ - next_ + buffer_.size() - at_; }

  // The next line without its LF; false when no whole line of permitted length follows.
  bool next(std::string_view& line) {
    std::size_t length = find();
    while (length == std::string::npos && buffer_.size() - at_ <= kLineLimit && fill()) {
      length = find();
    }
    if (length > kLineLimit) return false;  // npos too
    line = std::string_view(buffer_).substr(at_, length);
    at_ += length + 1;
    return true;
  }

 private:
  std::size_t find() const {
    const std::size_t at = buffer_.find('\n', at_);
    return at == std::string::npos ? at : at - at_;
  }

  bool fill() {
    if (next_ == end_) return false;
    buffer_.erase(0, std::exchange(at_, 0));
    const std::size_t old = buffer_.size();
    const std::uint64_t count = std::min(kReadSize, end_ - next_);
    buffer_.resize(old + count);
    read_at(fd_, next_, std::as_writable_bytes(std::span(buffer_).subspan(old)), subject_);
    next_ += count;
    return true;
  }

  int fd_;
  std::string subject_;
  std::string buffer_;
  std::size_t at_ = 0;
  std::uint64_t next_, end_;
};

}  // namespace organ::registry
