// SPDX-License-Identifier: Apache-2.0
#include "format/base/file_system.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <mutex>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/path_status.h"

namespace organ {
namespace fs = std::filesystem;
namespace {

// Throws unless something is there.
fs::path existing(const fs::path& path) {
  std::error_code error;
  fs::path found = fs::canonical(path, error);
  if (!error) return found;
  const bool absent =
      error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory;
  fail(absent ? ErrorCode::not_found : ErrorCode::io, "{}: {}", quote(path.string()),
       absent ? "is no folder" : error.message());
}

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

[[noreturn]] void fail_taken(const fs::path& path) {
  fail(ErrorCode::already_exists, "{}: already exists", quote(path.string()));
}

// The call itself is not there, on this kernel or in this file system.
bool is_missing(int error) {
  return error == EINVAL || error == ENOSYS || error == EOPNOTSUPP || error == ENOTTY;
}

void rename_plain(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return;
  if (errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR || errno == EISDIR) fail_taken(to);
  fail_errno(to.string(), "rename");
}

// Between the look and the rename no other organ gives the name; a folder with something in it
// is refused by rename(2) whoever made it.
void rename_after_look(const fs::path& from, const fs::path& to) {
  const fs::path folder = folder_of(to);
  const UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd) (void)::flock(fd.get(), LOCK_EX);  // no locks there: the look alone
  if (is_taken(to)) fail_taken(to);
  rename_plain(from, to);
}

void link_to_new(const fs::path& from, const fs::path& to) {
  if (::link(from.c_str(), to.c_str()) == 0) {
    if (::unlink(from.c_str()) != 0) fail_errno(from.string(), "remove");
    return;
  }
  if (errno == EEXIST) fail_taken(to);
  if (!lacks_links(errno)) fail_errno(to.string(), "link");
  rename_after_look(from, to);
}

// The kernel tells it without changing it.
unsigned umask_by_status() {
  const std::string status = read_kernel_file("/proc/self/status", 1 << 16);
  constexpr std::string_view kName = "Umask:\t";
  const auto at = status.find(kName);
  if (at == status.npos) fail(ErrorCode::io, "/proc/self/status: names no umask");
  unsigned mask = 0;
  const char* first = status.data() + at + kName.size();
  std::from_chars(first, status.data() + status.size(), mask, 8);
  return mask;
}

unsigned current_umask() {
  try {
    return umask_by_status();
  } catch (const Error&) {  // no /proc: for a moment our own new files are private
    static std::mutex mutex;
    const std::lock_guard lock(mutex);
    const mode_t mask = ::umask(077);
    ::umask(mask);
    return mask;
  }
}

void require_private(int fd, unsigned wanted, std::string_view subject) {
  if ((wanted & 077) != 0 || (permissions_of(fd, subject) & 077) == 0) return;
  throw Error(
      ErrorCode::io,
      fmt::format("{}: cannot be made private, the file system has no modes", quote(subject)),
      "choose a folder on another disk");
}

}  // namespace

fs::path given_path(std::string_view text) {
  if (text.empty()) fail(ErrorCode::invalid_argument, "an empty path names nothing");
  while (text.size() > 1 && text.ends_with('/')) text.remove_suffix(1);
  return text;
}

fs::path place_of(const fs::path& path) {
  const fs::path plain = given_path(path.native());
  const fs::path name = plain.filename();
  if (name.empty() || name == "." || name == "..") return existing(plain);
  return existing(plain.has_parent_path() ? plain.parent_path() : fs::path(".")) / name;
}

fs::path without_links(const fs::path& folder) {
  std::error_code error;
  fs::path found = fs::canonical(folder, error);
  return error ? folder : found;
}

bool lacks_links(int error) {
  return error == EPERM || error == EXDEV || error == EMLINK || error == ENOENT ||
         is_missing(error);
}

void rename_to_new(const fs::path& from, const fs::path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return;
  if (errno == EEXIST || errno == ENOTEMPTY) fail_taken(to);
  if (!is_missing(errno)) fail_errno(to.string(), "rename");
  if (path_status(from, Symlinks::refuse) == PathStatus::folder) {
    rename_after_look(from, to);
  } else {
    link_to_new(from, to);
  }
}

unsigned permitted(unsigned wanted) { return wanted & ~current_umask(); }

bool change_permissions(int fd, unsigned permissions, std::string_view subject) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) fail_errno(subject, "stat");
  // What a folder hands on to its entries (set-group-id) stays.
  const mode_t kept = S_ISDIR(status.st_mode) ? status.st_mode & (S_ISGID | S_ISVTX) : 0;
  const int error = ::fchmod(fd, permissions | kept) == 0 ? 0 : errno;
  if (error != 0 && error != EPERM && error != EACCES && !is_missing(error)) {
    fail_errno(subject, "chmod");
  }
  return permissions_of(fd, subject) == permissions;
}

void set_permissions(int fd, unsigned wanted, std::string_view subject) {
  if (!change_permissions(fd, permitted(wanted), subject)) require_private(fd, wanted, subject);
}

void set_exact_permissions(int fd, unsigned permissions, std::string_view subject) {
  if (!change_permissions(fd, permissions, subject)) require_private(fd, permissions, subject);
}

unsigned permissions_of(int fd, std::string_view subject) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) fail_errno(subject, "stat");
  return status.st_mode & 0777;
}

unsigned permissions_of(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) fail_errno(path.string(), "stat");
  return status.st_mode & 0777;
}

void require_space(const fs::path& folder, std::uint64_t bytes) {
  struct statvfs info {};
  if (::statvfs(folder.c_str(), &info) != 0 || info.f_blocks == 0) return;
  const std::uint64_t unit = info.f_frsize != 0 ? info.f_frsize : info.f_bsize;
  const std::uint64_t free = info.f_bavail > UINT64_MAX / unit ? UINT64_MAX : info.f_bavail * unit;
  if (bytes <= free) return;
  throw Error(ErrorCode::io,
              fmt::format("{}: {} bytes are to be written, {} are free", quote(folder.string()),
                          bytes, free),
              "nothing was written; make room, or choose a folder on another disk");
}

bool RoomForCopies::shares(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) fail_errno(folder_.string(), "stat");
  if (status.st_size == 0) return true;  // of an empty file nothing can be tried
  const auto known = shares_.find(status.st_dev);
  if (known != shares_.end()) return known->second;
  return shares_[status.st_dev] = can_clone(fd, folder_);
}

std::uint64_t RoomForCopies::of(int fd, std::string_view subject) {
  return shares(fd) ? 0 : file_size(fd, subject);
}

}  // namespace organ
