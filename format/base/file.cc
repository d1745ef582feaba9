// SPDX-License-Identifier: Apache-2.0
#include "format/base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <random>

#include <fmt/format.h>

#include "format/base/fail.h"
#include "format/base/file_system.h"
#include "format/base/handle.h"

namespace organ {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kCopySize = std::size_t{4} << 20;
constexpr std::size_t kCloneSize = std::size_t{16} << 20;  // that the kernel copies without a word

std::string random_suffix() {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::random_device device;
  std::string out;
  for (int i = 0; i < 10; ++i) out += kLetters[device() % kLetters.size()];
  return out;
}

// Retries a system call that a signal interrupted.
template <typename Call>
auto retry(const Call& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

std::string_view kind_name(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  if (S_ISLNK(mode)) return "a symlink";
  return "a device";
}

[[noreturn]] void fail_irregular(const fs::path& path, mode_t mode) {
  fail(ErrorCode::corrupt, "{}: expected a regular file, got {}", quote(path.string()),
       kind_name(mode));
}

std::uint64_t copy_by_reading(int from, int to, std::uint64_t offset, std::string_view subject,
                              const Work& work) {
  std::vector<std::byte> buffer(kCopySize);
  for (;;) {
    const ssize_t got = retry(
        [&] { return ::pread(from, buffer.data(), buffer.size(), static_cast<off_t>(offset)); });
    if (got < 0) fail_errno(subject, "read");
    if (got == 0) return offset;
    write_all(to, std::span(buffer).first(static_cast<std::size_t>(got)), subject);
    offset += static_cast<std::uint64_t>(got);
    work.advance(static_cast<std::uint64_t>(got));
  }
}

}  // namespace

UniqueFd& UniqueFd::operator=(UniqueFd&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void UniqueFd::reset() noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

UniqueFd open_regular(const fs::path& path, Symlinks symlinks) {
  // O_NONBLOCK: opening a FIFO must not wait for a writer.
  const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY |
                    (symlinks == Symlinks::refuse ? O_NOFOLLOW : 0);
  UniqueFd fd(retry([&] { return ::open(path.c_str(), flags); }));
  if (!fd) {
    if (errno == ELOOP) {
      fail(ErrorCode::corrupt, "{}: expected a regular file, got a symlink", quote(path.string()));
    }
    const int error = errno;
    // A socket, or a device that is not there, cannot be opened at all.
    struct stat odd {};
    if (error == ENXIO && ::stat(path.c_str(), &odd) == 0 && !S_ISREG(odd.st_mode)) {
      fail_irregular(path, odd.st_mode);
    }
    errno = error;
    fail_errno(path.string(), "open");
  }
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) fail_errno(path.string(), "stat");
  if (!S_ISREG(status.st_mode)) fail_irregular(path, status.st_mode);
  return fd;
}

std::uint64_t file_size(int fd, std::string_view subject) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) fail_errno(subject, "stat");
  return static_cast<std::uint64_t>(status.st_size);
}

std::uint64_t size_of_file(const fs::path& path) {
  return file_size(open_regular(path).get(), path.string());
}

void read_at(int fd, std::uint64_t offset, std::span<std::byte> out, std::string_view subject) {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t got = retry([&] {
      return ::pread(fd, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    });
    if (got < 0) fail_errno(subject, "read");
    if (got == 0) {
      fail(ErrorCode::corrupt, "{}: expected {} at offset {}, the file ends after {}",
           quote(subject), counted(out.size(), "byte"), offset, done);
    }
    done += static_cast<std::size_t>(got);
  }
}

std::string read_fd(int fd, std::uint64_t limit, std::string_view subject) {
  const std::uint64_t size = file_size(fd, subject);
  if (size > limit) {
    fail(ErrorCode::corrupt, "{}: expected at most {} bytes, got {}", quote(subject), limit, size);
  }
  std::string text(size, '\0');
  read_at(fd, 0, std::as_writable_bytes(std::span(text)), subject);
  return text;
}

std::string read_file(const fs::path& path, std::uint64_t limit, Symlinks symlinks) {
  return read_fd(open_regular(path, symlinks).get(), limit, path.string());
}

std::string read_given_file(const fs::path& path, std::uint64_t limit) {
  try {
    return read_file(path, limit);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::corrupt) throw;
    throw Error(ErrorCode::invalid_argument, error.message(), error.hint());
  }
}

std::string read_kernel_file(const fs::path& path, std::uint64_t limit) {
  const UniqueFd fd = open_regular(path);
  std::string text;
  for (;;) {
    char block[4096];
    const ssize_t got = retry([&] { return ::read(fd.get(), block, sizeof block); });
    if (got < 0) fail_errno(path.string(), "read");
    if (got == 0) return text;
    text.append(block, static_cast<std::size_t>(got));
    if (text.size() > limit) {
      fail(ErrorCode::corrupt, "{}: expected at most {} bytes", quote(path.string()), limit);
    }
  }
}

void write_all(int fd, std::span<const std::byte> bytes, std::string_view subject) {
  while (!bytes.empty()) {
    const ssize_t put = retry([&] { return ::write(fd, bytes.data(), bytes.size()); });
    if (put < 0) fail_errno(subject, "write");
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
}

void write_all(int fd, std::string_view text, std::string_view subject) {
  write_all(fd, std::as_bytes(std::span(text)), subject);
}

void write_at(int fd, std::uint64_t offset, std::span<const std::byte> bytes,
              std::string_view subject) {
  while (!bytes.empty()) {
    const ssize_t put =
        retry([&] { return ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
    if (put < 0) fail_errno(subject, "write");
    offset += static_cast<std::uint64_t>(put);
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
}

void sync_fd(int fd, std::string_view subject) {
  if (retry([&] { return ::fsync(fd); }) != 0) fail_errno(subject, "fsync");
}

void start_writing(int fd, std::uint64_t offset, std::uint64_t size) {
  // File systems without it write when they are asked to sync.
  (void)::sync_file_range(fd, static_cast<off64_t>(offset), static_cast<off64_t>(size),
                          SYNC_FILE_RANGE_WRITE);
}

void sync_folder(const fs::path& folder) {
  const fs::path path = folder.empty() ? fs::path(".") : folder;
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) fail_errno(path.string(), "open");
  sync_folder(fd.get(), path.string());
}

void sync_folder(int fd, std::string_view subject) {
  if (retry([&] { return ::fsync(fd); }) == 0) return;
  // Some file systems write folders at once and have no call for it.
  if (errno != EINVAL && errno != EOPNOTSUPP && errno != ENOSYS) {
    fail_errno(subject, "fsync");
  }
}

AtomicFile::AtomicFile(fs::path path, const fs::path& beside) : path_(std::move(path)) {
  if (!path_.has_filename()) {  // a/b/ can only be a folder
    fail(ErrorCode::invalid_argument, "{}: names a folder, expected a file", quote(path_.string()));
  }
  const fs::path folder = beside.empty() ? folder_of(path_) : beside;
  require_possible_name(path_);
  const std::string end = "." + random_suffix() + ".tmp";
  const std::size_t longest = std::max(longest_name(folder), end.size() + 1);
  temporary_ =
      folder / ("." + beginning_of(path_.filename().string(), longest - 1 - end.size()) + end);
  fd_ = UniqueFd(::open(temporary_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd_) {
    temporary_.clear();
    fail_errno(path_.string(), "create");
  }
}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      fd_(std::move(other.fd_)) {}

void AtomicFile::write(std::span<const std::byte> bytes) {
  write_all(fd_.get(), bytes, path_.string());
}

void AtomicFile::write(std::string_view text) { write_all(fd_.get(), text, path_.string()); }

void AtomicFile::commit(Mode mode, unsigned permissions, Rights rights) {
  if (rights == Rights::folder) {
    set_permissions_in(folder_of(path_), fd_.get(), permissions, path_.string());
  } else {
    set_permissions(fd_.get(), permissions, path_.string());
  }
  sync_fd(fd_.get(), path_.string());
  if (mode == Mode::create_new) {
    rename_to_new(temporary_, path_);
  } else if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    fail_errno(path_.string(), "rename");
  }
  temporary_.clear();
  fd_.reset();
  sync_folder(folder_of(path_));
}

void write_file(const fs::path& path, std::string_view text, AtomicFile::Mode mode,
                unsigned permissions, Rights rights) {
  AtomicFile file(path);
  file.write(text);
  file.commit(mode, permissions, rights);
}

bool clone_contents(int from, int to) {
  return file_size(from, "the file to copy") > 0 && ::ioctl(to, FICLONE, from) == 0;
}

std::uint64_t copy_contents(int from, int to, std::string_view subject, const Work& work) {
  const std::uint64_t size = file_size(from, subject);
  if (clone_contents(from, to)) {
    work.advance(size);
    return size;
  }
  std::uint64_t done = 0;
  while (done < size) {
    off_t offset = static_cast<off_t>(done);
    const std::size_t piece = std::min<std::uint64_t>(size - done, kCloneSize);
    const ssize_t copied =
        retry([&] { return ::copy_file_range(from, &offset, to, nullptr, piece, 0); });
    if (copied <= 0) return copy_by_reading(from, to, done, subject, work);
    done += static_cast<std::uint64_t>(copied);
    work.advance(static_cast<std::uint64_t>(copied));
  }
  return done;
}

bool can_clone(int from, const fs::path& folder) {
  // Its name is gone at once, or that is said: `folder` may be what somebody is given.
  const fs::path name = folder / (".clone." + random_suffix() + ".tmp");
  const UniqueFd probe(::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!probe) fail_errno(name.string(), "create");
  // Whoever tidies up after processes that died may have been faster.
  if (::unlink(name.c_str()) != 0 && errno != ENOENT) fail_errno(name.string(), "remove");
  return ::ioctl(probe.get(), FICLONE, from) == 0;
}

TempFolder::TempFolder(const fs::path& parent, std::string_view prefix, Owner owner)
    : path_(parent / (std::string(prefix) + "." + random_suffix())) {
  if (::mkdir(path_.c_str(), owner == Owner::only ? 0700 : 0777) != 0) {
    const fs::path name = std::exchange(path_, {});
    fail_errno(name.string(), "create folder");
  }
}

TempFolder::~TempFolder() {
  if (path_.empty()) return;
  std::error_code ignored;  // a destructor has nobody to tell; a leftover name says what it is
  fs::remove_all(path_, ignored);
}

std::vector<std::string> list_folder(const fs::path& folder) {
  const std::unique_ptr<DIR, Deleter<::closedir>> dir(::opendir(folder.c_str()));
  if (!dir) fail_errno(folder.string(), "open folder");
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(dir.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) fail_errno(folder.string(), "read folder");
  std::sort(names.begin(), names.end());
  return names;
}

bool is_safe_file_name(std::string_view name) {
  if (name.empty() || name.size() > 255 || name.front() == '.' || name.front() == '-' ||
      name.back() == '.') {
    return false;
  }
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  if (!std::all_of(name.begin(), name.end(), allowed)) return false;
  std::string stem(name.substr(0, name.find('.')));
  std::transform(stem.begin(), stem.end(), stem.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  constexpr std::string_view kReserved[] = {"con", "prn", "aux", "nul"};
  if (std::find(std::begin(kReserved), std::end(kReserved), stem) != std::end(kReserved)) {
    return false;
  }
  const bool port = stem.size() == 4 && (stem.starts_with("com") || stem.starts_with("lpt"));
  return !(port && stem[3] >= '0' && stem[3] <= '9');
}

}  // namespace organ
