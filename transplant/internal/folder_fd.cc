// SPDX-License-Identifier: Apache-2.0
#include "transplant/internal/folder_fd.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <utility>
#include <vector>

#include "format/base/fail.h"
#include "format/base/file.h"

namespace organ::transplant {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHint =
    "organ keeps folders and files there and nothing else; if the folder came from somebody else, "
    "remove its .organ";

[[noreturn]] void refuse(const fs::path& path, std::string_view what) {
  throw Error(ErrorCode::corrupt, fmt::format("{}: {}", quote(path.string()), what), kHint);
}

[[noreturn]] void fail_open(const fs::path& path, int at, const std::string& name) {
  const int reason = errno;
  struct stat info {};
  if (::fstatat(at, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(info.st_mode)) {
    refuse(path, "is a link");
  }
  if (reason == ENOTDIR) refuse(path, "is not a folder");
  errno = reason;
  fail_errno(path.string(), "open");
}

struct stat look_at(int at, const std::string& name, const fs::path& path) {
  struct stat info {};
  if (::fstatat(at, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    fail_errno(path.string(), "stat");
  }
  return info;
}

struct stat look_at(int fd, const fs::path& path) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) fail_errno(path.string(), "stat");
  return info;
}

std::vector<std::string> names_in(int fd, const fs::path& path) {
  const int own = ::openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (own < 0) fail_errno(path.string(), "open");
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(own), ::closedir);
  if (!stream) {
    ::close(own);
    fail(ErrorCode::io, "{}: cannot be listed", quote(path.string()));
  }
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  if (errno != 0) fail_errno(path.string(), "list");
  return names;
}

}  // namespace

FolderFd::FolderFd(const fs::path& path)
    : fd_(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)), path_(path) {
  if (!fd_) fail_errno(path.string(), "open");
}

FolderFd FolderFd::below(const std::string& name) const {
  fs::path path = path_ / name;
  UniqueFd fd(::openat(fd_.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) fail_open(path, fd_.get(), name);
  return {std::move(fd), std::move(path)};
}

FolderFd FolderFd::make_below(const std::string& name) const {
  const bool made = ::mkdirat(fd_.get(), name.c_str(), 0777) == 0;
  if (!made && errno != EEXIST) fail_errno((path_ / name).string(), "create folder");
  FolderFd folder = below(name);
  if (made) give_to_owner(folder.fd_.get(), folder.path_.string());
  return folder;
}

UniqueFd FolderFd::make_file(const std::string& name) const {
  constexpr int kFlags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  UniqueFd fd(::openat(fd_.get(), name.c_str(), kFlags, 0666));
  if (!fd && errno != EEXIST) fail_errno((path_ / name).string(), "create");
  if (fd) give_to_owner(fd.get(), (path_ / name).string());
  return fd;
}

void FolderFd::give_to_owner(int fd, std::string_view subject) const {
  if (::geteuid() != 0) return;
  const struct stat owner = look_at(fd_.get(), path_), made = look_at(fd, path_);
  if (owner.st_uid == made.st_uid && owner.st_gid == made.st_gid) return;
  // Whoever owns the folder may have put something else in the place of what was made.
  const bool ours = made.st_uid == 0 && (S_ISDIR(made.st_mode) || made.st_nlink <= 1);
  if (ours && ::fchown(fd, owner.st_uid, owner.st_gid) == 0) return;
  throw Error(ErrorCode::io,
              fmt::format("{}: cannot be given to the owner of the model (user {}, group {})",
                          quote(subject), owner.st_uid, owner.st_gid),
              "run as its owner, or build a new folder with --out DIR");
}

bool FolderFd::has(const std::string& name) const {
  struct stat info {};
  if (::fstatat(fd_.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) return true;
  if (errno != ENOENT) fail_errno((path_ / name).string(), "stat");
  return false;
}

UniqueFd FolderFd::open_file(const std::string& name) const {
  UniqueFd fd(::openat(fd_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd) fail_open(path_ / name, fd_.get(), name);
  if (!S_ISREG(look_at(fd.get(), path_ / name).st_mode)) refuse(path_ / name, "is no regular file");
  return fd;
}

void FolderFd::move(const std::string& name, const FolderFd& to,
                    const std::string& new_name) const {
  if (::renameat(fd_.get(), name.c_str(), to.fd_.get(), new_name.c_str()) != 0) {
    fail_errno((to.path_ / new_name).string(), "rename");
  }
}

void FolderFd::sync() const { sync_folder(fd_.get(), path_.string()); }

void FolderFd::require_plain(int depth) const {
  const dev_t device = look_at(fd_.get(), path_).st_dev;
  for (const std::string& name : names_in(fd_.get(), path_)) {
    const fs::path path = path_ / name;
    const struct stat info = look_at(fd_.get(), name, path);
    if (S_ISLNK(info.st_mode)) refuse(path, "is a link");
    if (!S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode)) refuse(path, "is no regular file");
    if (info.st_dev != device) refuse(path, "lies on another file system");
    if (!S_ISDIR(info.st_mode)) continue;
    if (depth == 0) refuse(path, "is a folder, where only files are");
    below(name).require_plain(depth - 1);
  }
}

}  // namespace organ::transplant
