// SPDX-License-Identifier: Apache-2.0
// A file system that lacks what $POOR names, for LD_PRELOAD: "noreplace" (RENAME_NOREPLACE: NFS,
// CephFS, 9p, old ZFS), "tmpfile" (O_TMPFILE), "links" (hard links: FAT, exFAT, some FUSE), "clone"
// (reflinks, copy_file_range), "foldersync" (fsync of folders), "modes" (chmod changes nothing, and
// everything is said to have the mode 0755: FAT, exFAT, CIFS), "flock" (flock alone: some FUSE),
// "nolocks" (flock and locks of ranges: NFS without lockd). "cow": it has what this one may
// lack, FICLONE, by copying. $POOR_FREE: the bytes that are free on it. What was acted on is
// appended to the file $POOR_SEEN, once in each process: "room" for $POOR_FREE, else the name from
// $POOR. Only calls that the C library exports are seen.
#undef _FILE_OFFSET_BITS  // open and open64 are two functions here
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>
#include <string>

namespace {

// The C library's own function.
template <typename Function>
Function* next(Function*, const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

void say_seen(const char* what) {
  static auto* said = new std::set<std::string>;  // calls come until the very end
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  const char* path = std::getenv("POOR_SEEN");
  if (path == nullptr || !said->insert(what).second) return;
  const int error = errno;
  const int fd = next(&::open, "open")(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0 || ::dprintf(fd, "%s\n", what) < 0 || ::close(fd) != 0) std::abort();
  errno = error;
}

bool lacks(const char* what) {
  const char* poor = std::getenv("POOR");
  if (poor == nullptr || std::strstr(poor, what) == nullptr) return false;
  say_seen(what);
  return true;
}

int fail(int error) {
  errno = error;
  return -1;
}

// What FICLONE leaves: the bytes of another file in place of one's own.
int clone(int to, int from) {
  static char buffer[1 << 16];
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  for (off64_t at = 0;;) {
    const ssize_t got = ::pread64(from, buffer, sizeof buffer, at);
    if (got <= 0) return static_cast<int>(got);
    if (::pwrite64(to, buffer, static_cast<size_t>(got), at) != got) return fail(EIO);
    at += got;
  }
}

template <typename Status>
int tell_room(int result, Status* status) {
  const char* free = std::getenv("POOR_FREE");
  if (result != 0 || free == nullptr) return result;
  say_seen("room");
  status->f_frsize = 1;
  status->f_bavail = std::strtoull(free, nullptr, 10);
  return 0;
}

std::string path_of(int fd) {
  char path[4096];
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t size = ::readlink(link.c_str(), path, sizeof path);
  return size < 0 ? std::string() : std::string(path, static_cast<std::size_t>(size));
}

// With $POOR_BELOW only what lies below that folder lacks modes and locks.
bool lacks_there(const char* what, const std::string& path) {
  const char* below = std::getenv("POOR_BELOW");
  return (below == nullptr || path.starts_with(below)) && lacks(what);
}

bool lacks_modes(const std::string& path) { return lacks_there("modes", path); }

// What a stat call found, as such a file system tells it.
int told(int result, const std::string& path, struct stat64* status) {
  const int error = errno;
  if (result == 0 && lacks_modes(path)) status->st_mode = (status->st_mode & S_IFMT) | 0755;
  errno = error;
  return result;
}

}  // namespace

extern "C" {

int renameat2(int from_folder, const char* from, int to_folder, const char* to,
              unsigned int flags) noexcept {
  if (flags != 0 && lacks("noreplace")) return fail(EINVAL);
  return next(&::renameat2, "renameat2")(from_folder, from, to_folder, to, flags);
}

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const auto mode = va_arg(rest, mode_t);
  va_end(rest);
  if ((flags & O_TMPFILE) == O_TMPFILE && lacks("tmpfile")) return fail(EOPNOTSUPP);
  return next(&::open, "open")(path, flags, mode);
}

int open64(const char* path, int flags, ...) __attribute__((alias("open")));

int link(const char* from, const char* to) noexcept {
  return lacks("links") ? fail(EPERM) : next(&::link, "link")(from, to);
}

int linkat(int from_folder, const char* from, int to_folder, const char* to, int flags) noexcept {
  return lacks("links") ? fail(EPERM)
                        : next(&::linkat, "linkat")(from_folder, from, to_folder, to, flags);
}

int ioctl(int fd, unsigned long request, ...) noexcept {
  va_list rest;
  va_start(rest, request);
  void* argument = va_arg(rest, void*);
  va_end(rest);
  if (request == FICLONE && lacks("clone")) return fail(EOPNOTSUPP);
  if (request == FICLONE && lacks("cow")) {
    return clone(fd, static_cast<int>(reinterpret_cast<intptr_t>(argument)));
  }
  return next(&::ioctl, "ioctl")(fd, request, argument);
}

ssize_t copy_file_range(int in, off64_t* in_offset, int out, off64_t* out_offset, size_t length,
                        unsigned int flags) {
  if (lacks("clone")) return fail(EXDEV);
  return next(&::copy_file_range, "copy_file_range")(in, in_offset, out, out_offset, length, flags);
}

int flock(int fd, int operation) noexcept {
  const std::string path = path_of(fd);
  if (lacks_there("nolocks", path)) return fail(ENOLCK);
  if (lacks_there("flock", path)) return fail(ENOSYS);
  return next(&::flock, "flock")(fd, operation);
}

int fcntl64(int fd, int command, ...) {
  va_list rest;
  va_start(rest, command);
  void* argument = va_arg(rest, void*);
  va_end(rest);
  if (command == F_OFD_SETLK && lacks_there("nolocks", path_of(fd))) return fail(ENOLCK);
  return next(&::fcntl64, "fcntl64")(fd, command, argument);
}

int fcntl(int fd, int command, ...) __attribute__((alias("fcntl64")));

int fsync(int fd) {
  struct stat status {};
  if (lacks("foldersync") && ::fstat(fd, &status) == 0 && S_ISDIR(status.st_mode)) {
    return fail(EINVAL);
  }
  return next(&::fsync, "fsync")(fd);
}

int statvfs(const char* path, struct statvfs* status) noexcept {
  return tell_room(next(&::statvfs, "statvfs")(path, status), status);
}

int statvfs64(const char* path, struct statvfs64* status) noexcept {
  return tell_room(next(&::statvfs64, "statvfs64")(path, status), status);
}

int fchmod(int fd, mode_t mode) noexcept {
  return lacks_modes(path_of(fd)) ? fail(EPERM) : next(&::fchmod, "fchmod")(fd, mode);
}

int stat64(const char* path, struct stat64* status) noexcept {
  return told(next(&::stat64, "stat64")(path, status), path, status);
}

int lstat64(const char* path, struct stat64* status) noexcept {
  return told(next(&::lstat64, "lstat64")(path, status), path, status);
}

int fstat64(int fd, struct stat64* status) noexcept {
  return told(next(&::fstat64, "fstat64")(fd, status), path_of(fd), status);
}

int fstatat64(int folder, const char* name, struct stat64* status, int flags) noexcept {
  const int result = next(&::fstatat64, "fstatat64")(folder, name, status, flags);
  return told(result, path_of(folder) + "/" + name, status);
}

}  // extern "C"
