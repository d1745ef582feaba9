// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "format/base/file.h"

namespace organ::registry {

// The longest line, in bytes without its LF, that is read or written.
inline constexpr std::uint64_t kLineLimit = 64 << 10;
// Bytes that one read asks for.
inline constexpr std::uint64_t kReadSize = 1 << 20;

// Lines of the log from an offset on, with the number of bytes behind each. What a writer adds
// after the constructor has asked for the file's size is not seen. Holds little more than kReadSize
// and kLineLimit bytes, however long the log is. Not thread-safe.
class LineReader {
 public:
  // Borrows `fd`, a regular file; `offset` is where a line begins, at most the file's size.
  // `subject` names the file in errors. Throws io.
  LineReader(int fd, std::uint64_t offset, std::string subject)
      : fd_(fd), subject_(std::move(subject)), next_(offset), end_(file_size(fd, subject_)) {}

  // Bytes of the file behind the last line that was returned.
  std::uint64_t remaining() const { return end_ - next_ + buffer_.size() - at_; }

  // The next line without its LF; false when no whole line of permitted length follows: the file
  // ends, its last line has no LF, or a line is longer than kLineLimit. The position stays then.
  // `line` is valid until the next call. Throws io, corrupt when the file became shorter meanwhile.
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
  // The length of the first line in the buffer behind at_; npos: it holds no LF.
  std::size_t find() const {
    const std::size_t at = buffer_.find('\n', at_);
    return at == std::string::npos ? at : at - at_;
  }

  // Drops what was returned, which ends the life of `line`, and reads on. False at the end.
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
  std::size_t at_ = 0;        // in the buffer: the first byte that was not returned
  std::uint64_t next_, end_;  // in the file: what is read next, and its size
};

}  // namespace organ::registry
