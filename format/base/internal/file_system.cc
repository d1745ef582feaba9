// SPDX-License-Identifier: Apache-2.0
#include "format/base/file_system.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
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

struct stat status_of(int fd, std::string_view subject) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) fail_errno(subject, "stat");
  return status;
}

unsigned mode_bits(const struct stat& status) { return status.st_mode & 0777; }

// The group no more than everybody.
unsigned without_group(unsigned permissions) {
  return permissions & (0707 | ((permissions & 07) << 3));
}

constexpr char kAccessList[] = "system.posix_acl_access";

// What the access list of a file (acl(5), as the kernel stores it) leaves of its permission bits
// for a file without one.
unsigned without_list(unsigned permissions, std::string_view list) {
  constexpr std::uint32_t kVersion = 2;
  constexpr std::uint16_t kUser = 0x02, kOwningGroup = 0x04, kGroup = 0x08, kMask = 0x10;
  struct Entry {
    std::uint16_t tag, bits;
    std::uint32_t id;
  };
  std::uint32_t version = 0;
  if (list.size() < sizeof version) return permissions & 0700;
  std::memcpy(&version, list.data(), sizeof version);
  if (version != kVersion) return permissions & 0700;
  unsigned group = 07, mask = 07, named = 07;
  bool names = false;
  for (std::size_t at = sizeof version; at + sizeof(Entry) <= list.size(); at += sizeof(Entry)) {
    Entry entry{};
    std::memcpy(&entry, list.data() + at, sizeof entry);
    if (entry.tag == kOwningGroup) group = entry.bits;
    if (entry.tag == kMask) mask = entry.bits;
    if (entry.tag != kUser && entry.tag != kGroup) continue;
    named &= entry.bits;
    names = true;
  }
  const unsigned all = named & mask;  // what nobody who is named lacks
  return permissions & (0700 | ((group & all) << 3) | (names ? all : 07));
}

// `read` is getxattr(2) of the access list into a buffer.
template <typename Read>
unsigned narrowest(const struct stat& status, const Read& read) {
  unsigned permissions = mode_bits(status);
  if (status.st_gid != ::getegid()) permissions = without_group(permissions);
  std::string list(std::size_t{64} << 10, '\0');
  const ssize_t size = read(list.data(), list.size());
  if (size > 0) return without_list(permissions, {list.data(), static_cast<std::size_t>(size)});
  const bool none = size == 0 || errno == ENODATA || errno == EOPNOTSUPP || errno == ENOSYS;
  return none ? permissions : permissions & 0700;
}

// What these permissions are for an open new file or folder of ours: where it took another group or
// an access list from the folder around it, its group gets what everybody has.
unsigned narrowed(int made, unsigned permissions, std::string_view subject) {
  const bool listed = ::fgetxattr(made, kAccessList, nullptr, 0) > 0;
  const bool theirs = listed || status_of(made, subject).st_gid != ::getegid();
  return theirs ? without_group(permissions) : permissions;
}

void require_private(int fd, unsigned wanted, std::string_view subject) {
  if ((wanted & 077) != 0 || (mode_bits(status_of(fd, subject)) & 077) == 0) return;
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
  return existing(folder_of(plain)) / name;
}

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

FileId file_id(int fd, std::string_view subject) {
  const struct stat status = status_of(fd, subject);
  return {status.st_dev, status.st_ino};
}

std::optional<FileId> file_id(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return FileId{status.st_dev, status.st_ino};
}

fs::path without_links(const fs::path& folder) {
  std::error_code error;
  fs::path found = fs::canonical(folder, error);
  return error ? folder : found;
}

std::string beginning_of(std::string_view name, std::size_t bytes) {
  if (name.size() <= bytes) return std::string(name);
  std::size_t end = bytes;
  while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xC0) == 0x80) --end;
  return std::string(name.substr(0, end));
}

void require_possible_name(const fs::path& path) {
  const long told = ::pathconf(folder_of(path).c_str(), _PC_NAME_MAX);
  if (told <= 0 || path.filename().native().size() <= static_cast<std::size_t>(told)) return;
  errno = ENAMETOOLONG;
  fail_errno(path.string(), "create");
}

std::size_t longest_name(const fs::path& folder) {
  constexpr long kUsual = 255;
  const long told = ::pathconf(folder.c_str(), _PC_NAME_MAX);
  return static_cast<std::size_t>(told > 0 ? std::min(told, kUsual) : kUsual);
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
  const struct stat status = status_of(fd, subject);
  // What a folder hands on to its entries (set-group-id) stays.
  const mode_t kept = S_ISDIR(status.st_mode) ? status.st_mode & (S_ISGID | S_ISVTX) : 0;
  const int error = ::fchmod(fd, permissions | kept) == 0 ? 0 : errno;
  if (error != 0 && error != EPERM && error != EACCES && !is_missing(error)) {
    fail_errno(subject, "chmod");
  }
  return mode_bits(status_of(fd, subject)) == permissions;
}

void set_permissions(int fd, unsigned wanted, std::string_view subject) {
  if (!change_permissions(fd, permitted(wanted), subject)) require_private(fd, wanted, subject);
}

bool is_shared_folder(const fs::path& folder) {
  struct stat status {};
  if (::stat(folder.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) return false;
  constexpr mode_t kShared = S_ISGID | S_IWGRP;
  return (status.st_mode & (kShared | S_ISVTX)) == kShared;
}

void set_permissions_in(const fs::path& folder, int fd, unsigned wanted, std::string_view subject) {
  struct stat status {};
  if (::stat(folder.c_str(), &status) != 0) fail_errno(folder.string(), "stat");
  const unsigned open = mode_bits(status) & 077;
  if (is_shared_folder(folder)) return set_exact_permissions(fd, wanted & (0700 | open), subject);
  // Who may look around in it reads what is in it.
  const unsigned read = ((open & 050) == 050 ? 050 : 0) | ((open & 05) == 05 ? 05 : 0);
  const unsigned permissions = permitted(wanted) | (wanted & read);
  if (!change_permissions(fd, permissions, subject)) require_private(fd, wanted, subject);
}

void set_exact_permissions(int fd, unsigned permissions, std::string_view subject) {
  if (!change_permissions(fd, permissions, subject)) require_private(fd, permissions, subject);
}

unsigned permissions_of(int fd, std::string_view subject) {
  return narrowest(status_of(fd, subject), [&](char* to, std::size_t size) {
    return ::fgetxattr(fd, kAccessList, to, size);
  });
}

unsigned permissions_of(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) fail_errno(path.string(), "stat");
  return narrowest(status, [&](char* to, std::size_t size) {
    return ::getxattr(path.c_str(), kAccessList, to, size);
  });
}

unsigned permissions_like(int made, int like, std::string_view subject) {
  return narrowed(made, permissions_of(like, subject), subject);
}

void narrow_folder(int fd, unsigned permissions, std::string_view subject) {
  const unsigned allowed = narrowed(fd, permissions, subject);
  const unsigned now = mode_bits(status_of(fd, subject));
  if ((now & ~allowed) != 0) set_exact_permissions(fd, now & allowed, subject);
}

void require_space(const fs::path& folder, std::uint64_t bytes) {
  struct statvfs info {};
  if (::statvfs(folder.c_str(), &info) != 0 || info.f_blocks == 0) return;
  const std::uint64_t unit = info.f_frsize != 0 ? info.f_frsize : info.f_bsize;
  const std::uint64_t free = info.f_bavail > UINT64_MAX / unit ? UINT64_MAX : info.f_bavail * unit;
  if (bytes <= free) return;
  throw Error(ErrorCode::io,
              fmt::format("{}: {} are to be written, {} are free", quote(folder.string()),
                          counted(bytes, "byte"), free),
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
