// SPDX-License-Identifier: Apache-2.0
// Ownership of open files, and of what C libraries hand out.
#pragma once

#include <cstdint>
#include <utility>

#pragma GCC visibility push(default)

namespace organ {

// Gives a handle back by a function of the library that made it:
// std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>.
template <auto function>
struct Deleter {
  template <typename T>
  void operator()(T* handle) const noexcept {
    function(handle);
  }
};

// What the file system says of a file. It becomes another when somebody writes, replaces or renames
// the file, unless its clock has not ticked since or the file is mapped into memory. Times in
// nanoseconds since 1970.
struct FileStamp {
  std::uint64_t inode = 0, size = 0, modified = 0, changed = 0;  // bytes; mtime; ctime
  bool operator==(const FileStamp&) const = default;
  // The same but for what a change of names or rights alone changes (`changed`).
  bool has_contents_of(const FileStamp& other) const {
    return inode == other.inode && size == other.size && modified == other.modified;
  }
};

// Owns a file descriptor, which it closes; -1 is none. Move-only. One object belongs to one thread;
// reading at offsets from the descriptor that get() lends may be done by several.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  ~UniqueFd() { reset(); }
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept;
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;

  // Lent: it stays open as long as this object has it. -1 when there is none.
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void reset() noexcept;  // closes it, whatever close(2) says; nothing when there is none

 private:
  int fd_ = -1;
};

}  // namespace organ

#pragma GCC visibility pop
