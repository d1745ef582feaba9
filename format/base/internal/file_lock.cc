// SPDX-License-Identifier: Apache-2.0
// FileLock of file.h.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/file_system.h"

namespace organ {

namespace fs = std::filesystem;

namespace {

// The process of a line of /proc/locks ("1: FLOCK ADVISORY WRITE 4711 fe:00:123 0 EOF") that holds
// a flock on this file; nothing for other lines, and for those of who only waits ("1: -> FLOCK …").
std::optional<std::string> holder_in(std::string_view line, std::string_view file) {
  std::vector<std::string_view> words;
  for (std::size_t at = 0; (at = line.find_first_not_of(' ', at)) != line.npos;) {
    const std::size_t end = std::min(line.find(' ', at), line.size());
    words.push_back(line.substr(at, end - at));
    at = end;
  }
  if (words.size() < 6 || words[1] != "FLOCK" || words[5] != file) return std::nullopt;
  return std::string(words[4]);
}

// Who holds the lock now, as the kernel tells it: what a holder writes down himself outlives him.
// "another process" where it does not tell (other namespaces, network file systems).
std::string lock_holders(int fd) {
  constexpr std::uint64_t kLimit = std::uint64_t{1} << 20;
  struct stat status {};
  std::vector<std::string> processes;
  try {
    if (::fstat(fd, &status) != 0) fail_errno("lock", "stat");
    const std::string locks = read_kernel_file("/proc/locks", kLimit);
    const std::string file =
        fmt::format("{:02x}:{:02x}:{}", major(status.st_dev), minor(status.st_dev), status.st_ino);
    for (std::size_t at = 0; at < locks.size();) {
      const std::size_t end = std::min(locks.find('\n', at), locks.size());
      if (auto process = holder_in(std::string_view(locks).substr(at, end - at), file)) {
        processes.push_back(*std::move(process));
      }
      at = end + 1;
    }
  } catch (const Error&) {
    // The message does without.
  }
  if (processes.empty()) return "another process";
  return fmt::format("process{} {}", processes.size() == 1 ? "" : "es", fmt::join(processes, ", "));
}

UniqueFd open_lock(const fs::path& path, FileLock::Kind kind) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666));
  const int error = errno;
  const bool is_shared = kind == FileLock::Kind::shared;
  // A file of another user, or of a medium that is read: it can be locked as it can be read.
  if (!fd && (error == EACCES || (error == EROFS && is_shared))) {
    fd = UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd && !is_shared) errno = error;
  }
  if (!fd) fail_errno(path.string(), "open lock");
  return fd;
}

// A holder may remove the file with the folder it guards; a lock on such a file guards nothing.
bool names_this_file(const fs::path& path, int fd) {
  return file_id(path) == file_id(fd, path.string());
}

// NFS without lockd; 9p and some FUSE.
bool lacks_locks(int error) {
  return error == ENOLCK || error == ENOSYS || error == EOPNOTSUPP || error == EINVAL;
}

// Where the file system has no flock: the same over a range of bytes, of the open file too. Without
// either nothing keeps two commands apart, and none of them may go on.
bool try_range_lock(int fd, FileLock::Kind kind, const fs::path& path) {
  struct flock range {};
  range.l_type = kind == FileLock::Kind::shared ? F_RDLCK : F_WRLCK;
  range.l_whence = SEEK_SET;
  if (::fcntl(fd, F_OFD_SETLK, &range) == 0) return true;
  if (errno == EAGAIN || errno == EACCES || errno == EINTR) return false;
  if (!lacks_locks(errno)) fail_errno(path.string(), "lock");
  throw Error(ErrorCode::io,
              fmt::format("{}: the file system has no locks, which keep two commands apart",
                          quote(path.string())),
              "mount it with locks (NFS: with lockd, or local_lock=flock where one machine alone "
              "writes), or use a folder on another disk");
}

bool try_lock(int fd, FileLock::Kind kind, const fs::path& path) {
  const int operation = (kind == FileLock::Kind::shared ? LOCK_SH : LOCK_EX) | LOCK_NB;
  if (::flock(fd, operation) == 0) return true;
  if (errno == EWOULDBLOCK || errno == EINTR) return false;
  if (!lacks_locks(errno)) fail_errno(path.string(), "lock");
  return try_range_lock(fd, kind, path);
}

}  // namespace

FileLock::FileLock(const fs::path& path, Kind kind, double timeout_seconds, const Work& work)
    : fd_(open_lock(path, kind)) {
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::duration<double>(timeout_seconds);
  for (;;) {
    if (try_lock(fd_.get(), kind, path)) {
      if (names_this_file(path, fd_.get())) break;
      fd_ = open_lock(path, kind);
      continue;
    }
    if (std::chrono::steady_clock::now() >= deadline) {
      throw Error(ErrorCode::conflict,
                  fmt::format("{}: locked by {} for more than {} s", quote(path.string()),
                              lock_holders(fd_.get()), timeout_seconds),
                  "wait for the other command, or end it");
    }
    work.require_wanted();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

}  // namespace organ
