// SPDX-License-Identifier: Apache-2.0
// Files: owning descriptors, whole reads with a limit, durable replacement, temporary folders.
// Everything opens with O_CLOEXEC and never blocks on a FIFO. No mapping: a file that shrinks
// while it is read gives an Error, never SIGBUS.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "format/base/handle.h"
#include "format/base/progress.h"

namespace organ {

enum class Symlinks { follow, refuse };
// What says which rights others have in something new; owner: none.
enum class Rights { umask, folder, owner };

// Opens a regular file for reading. Throws not_found, io, or corrupt when it is a folder, FIFO,
// device or (with refuse) a symlink.
UniqueFd open_regular(const std::filesystem::path& path, Symlinks symlinks = Symlinks::follow);

std::uint64_t file_size(int fd, std::string_view subject);
std::uint64_t size_of_file(const std::filesystem::path& path);  // a regular one; throws as above

// Reads exactly `out.size()` bytes at `offset`; throws corrupt when the file ends earlier, io on
// a read error. Thread-safe for one fd.
void read_at(int fd, std::uint64_t offset, std::span<std::byte> out, std::string_view subject);

// The whole file as text; throws corrupt when it is longer than `limit` bytes.
std::string read_file(const std::filesystem::path& path, std::uint64_t limit,
                      Symlinks symlinks = Symlinks::follow);
std::string read_fd(int fd, std::uint64_t limit, std::string_view subject);

// The same of a file that the caller's user names: a folder in its place, or a file that is too
// long, is no damage but invalid_argument.
std::string read_given_file(const std::filesystem::path& path, std::uint64_t limit);

// The same for files of /proc and /sys, whose size is not that of their text.
std::string read_kernel_file(const std::filesystem::path& path, std::uint64_t limit);

// Writes all bytes; throws io (ENOSPC included).
void write_all(int fd, std::span<const std::byte> bytes, std::string_view subject);
void write_all(int fd, std::string_view text, std::string_view subject);

// The same from `offset` of the file on, wherever it stands.
void write_at(int fd, std::uint64_t offset, std::span<const std::byte> bytes,
              std::string_view subject);

// fsync of a file or folder. A failure is fatal for what was written: never retried, but for EINTR.
// Folders of file systems that cannot sync them are passed over.
void sync_fd(int fd, std::string_view subject);
// Lets the system begin to write these bytes to the disk, so that a later sync_fd() has less to
// wait for. Promises nothing.
void start_writing(int fd, std::uint64_t offset, std::uint64_t size);
void sync_folder(const std::filesystem::path& folder);
void sync_folder(int fd, std::string_view subject);

// A new file that appears under its name whole or not at all: unnamed or temporary in the same
// folder, then fsync, link or rename, fsync of the folder. Without commit() nothing is left.
class AtomicFile {
 public:
  // The folder of `path` must exist. Private (mode 0600) until commit().
  explicit AtomicFile(std::filesystem::path path) : AtomicFile(std::move(path), {}) {}
  // The temporary file lies in `beside`, a folder of the same file system.
  AtomicFile(std::filesystem::path path, const std::filesystem::path& beside);
  ~AtomicFile();
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;

  int fd() const { return fd_.get(); }
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);

  enum class Mode { replace, create_new };
  // create_new throws already_exists when the name is taken. `permissions`, less what the umask
  // takes away, are set before the name appears; with Rights::folder the folder has a say
  // (set_permissions_in, file_system.h).
  void commit(Mode mode = Mode::replace, unsigned permissions = 0666,
              Rights rights = Rights::umask);

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  UniqueFd fd_;
};

// Atomic durable replacement of a small file.
void write_file(const std::filesystem::path& path, std::string_view text,
                AtomicFile::Mode mode = AtomicFile::Mode::replace, unsigned permissions = 0666,
                Rights rights = Rights::umask);

// Makes an empty open file share the bytes of another one (reflink). False where the file system
// cannot, and of an empty file.
bool clone_contents(int from, int to);

// Copies a whole regular file into an empty open one: reflink, else copy_file_range, else
// read/write. Returns the number of bytes, which `work` was told. Throws io, cancelled.
std::uint64_t copy_contents(int from, int to, std::string_view subject, const Work& work = {});

// Whether a copy of an open file into this folder shares its bytes (reflink) and takes no room.
bool can_clone(int from, const std::filesystem::path& folder);

// A new folder `parent/prefix.XXXXXX`, removed with its contents on destruction unless released.
// Owner::only: nobody else may look into it.
class TempFolder {
 public:
  enum class Owner { only, as_umask };
  TempFolder(const std::filesystem::path& parent, std::string_view prefix,
             Owner owner = Owner::as_umask);
  ~TempFolder();
  TempFolder(TempFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TempFolder& operator=(TempFolder&&) = delete;
  const std::filesystem::path& path() const { return path_; }
  void release() { path_.clear(); }

 private:
  std::filesystem::path path_;
};

// Names of the entries of a folder, sorted bytewise, without . and ..; throws not_found, io.
std::vector<std::string> list_folder(const std::filesystem::path& folder);

// `name` may become one component of a path: 1-255 bytes of [A-Za-z0-9._-], not starting with
// '.' or '-', and none of the names other systems reserve (con, nul, …).
bool is_safe_file_name(std::string_view name);

// An advisory flock. A dead process leaves no stale lock. Its file stays empty; whoever may open it
// can hold it, whatever its mode and owner. Only a holder of the exclusive lock may remove the
// file, with the folder it guards; whoever waited for it then opens the new one.
class FileLock {
 public:
  enum class Kind { shared, exclusive };
  static constexpr double kUsualWait = 10;  // seconds
  // Waits up to `timeout_seconds`, then throws conflict naming the processes that hold it. Ends
  // earlier with cancelled when `work` is no longer wanted.
  FileLock(const std::filesystem::path& path, Kind kind, double timeout_seconds = kUsualWait,
           const Work& work = {});
  FileLock(FileLock&&) noexcept = default;

 private:
  UniqueFd fd_;
};

}  // namespace organ
