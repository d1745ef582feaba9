// SPDX-License-Identifier: Apache-2.0
#include "format/base/path_status.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>

#include "format/base/fail.h"
#include "format/base/file_system.h"

namespace organ {
namespace fs = std::filesystem;
namespace {

void require(const std::error_code& error, const fs::path& path, std::string_view action) {
  if (!error) return;
  errno = error.value();
  fail_errno(path.string(), action);
}

FileStamp stamp_of(const struct stat& status) {
  const auto nanoseconds = [](const timespec& time) {
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(time.tv_nsec);
  };
  constexpr std::uint64_t kOfJson = INT64_MAX;  // what is written down is read back as such
  return {.inode = status.st_ino & kOfJson,
          .size = static_cast<std::uint64_t>(status.st_size),
          .modified = nanoseconds(status.st_mtim) & kOfJson,
          .changed = nanoseconds(status.st_ctim) & kOfJson};
}

}  // namespace

PathStatus path_status(const fs::path& path, Symlinks symlinks) {
  struct stat status {};
  const int result =
      symlinks == Symlinks::follow ? ::stat(path.c_str(), &status) : ::lstat(path.c_str(), &status);
  if (result != 0) {
    if (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG) return PathStatus::nothing;
    fail_errno(path.string(), "stat");
  }
  if (S_ISREG(status.st_mode)) return PathStatus::file;
  if (S_ISDIR(status.st_mode)) return PathStatus::folder;
  return S_ISLNK(status.st_mode) ? PathStatus::symlink : PathStatus::other;
}

std::optional<FileStamp> file_stamp(const fs::path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  return stamp_of(status);
}

FileStamp file_stamp(int fd, std::string_view subject) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) fail_errno(subject, "stat");
  return stamp_of(status);
}

bool is_there(const fs::path& path) { return path_status(path) != PathStatus::nothing; }

bool is_taken(const fs::path& path) {
  return path_status(path, Symlinks::refuse) != PathStatus::nothing;
}

bool is_folder(const fs::path& path) { return path_status(path) == PathStatus::folder; }

bool is_file(const fs::path& path) { return path_status(path) == PathStatus::file; }

void create_folders(const fs::path& folder, Rights rights) {
  if (is_folder(folder)) return;
  const fs::path above = folder.parent_path();
  if (!above.empty()) create_folders(above, rights);
  std::error_code error;
  const bool made = fs::create_directory(folder, error);
  require(error, folder, "create folder");
  if (!made) return;
  if (rights == Rights::owner && ::chmod(folder.c_str(), 0700) != 0) {
    fail_errno(folder.string(), "change mode");
  }
  if (rights == Rights::folder) {
    const UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) fail_errno(folder.string(), "open");
    set_permissions_in(above, fd.get(), 0777, folder.string());
  }
  sync_folder(above);
}

void remove_path(const fs::path& path) {
  if (std::remove(path.c_str()) != 0 && errno != ENOENT) fail_errno(path.string(), "remove");
}

void rename_path(const fs::path& from, const fs::path& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) fail_errno(to.string(), "rename");
}

fs::path real_path(const fs::path& path) {
  std::error_code error;
  fs::path found = fs::canonical(path, error);
  require(error, path, "resolve");
  return found;
}

fs::path absolute_path(const fs::path& path) {
  std::error_code error;
  fs::path found = fs::absolute(path, error);
  require(error, path, "resolve");
  return found;
}

}  // namespace organ
