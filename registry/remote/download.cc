// SPDX-License-Identifier: Apache-2.0
#include "registry/remote/download.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

#include "format/base/fail.h"
#include "format/base/file_system.h"
#include "format/base/path_status.h"
#include "format/organ/passing_file.h"
#include "registry/blobs/own_folder.h"

namespace organ::registry {
namespace {

namespace fs = std::filesystem;

constexpr char kLock[] = "lock";
constexpr auto kOld = std::chrono::hours(7 * 24);
constexpr double kPatience = 10;  // seconds

fs::path partial_root(const fs::path& registry) { return registry / "organ" / "partial"; }

// What a pull that was ended had handed over (BlobStore::adopt): an object of two names is nothing
// to write into, what could not be made durable nothing to believe; what had got no name yet goes
// on. Whoever shares the folder may put links in its place meanwhile: none is followed.
void take_back(const fs::path& path) {
  const UniqueFd fd(
      ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  if (!fd && errno != EACCES) return;  // nothing, or what open_partial() refuses
  struct stat status {};
  if (fd && ::fstat(fd.get(), &status) != 0) fail_errno(path.string(), "stat");
  if (fd && !S_ISREG(status.st_mode)) return;
  if (status.st_nlink == 1 && (status.st_mode & 0400) != 0) {
    if ((status.st_mode & 0200) != 0) return;
    if (status.st_uid == ::geteuid() && ::fchmod(fd.get(), 0600) == 0) return;
  }
  if (::unlink(path.c_str()) != 0) fail_errno(path.string(), "remove");
}

UniqueFd open_partial(const fs::path& path) {
  take_back(path);
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
  if (!fd) fail_errno(path.string(), "open");
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) fail_errno(path.string(), "stat");
  if (!S_ISREG(status.st_mode)) {
    fail(ErrorCode::corrupt, "{}: not a regular file", quote(path.string()));
  }
  // Who shares the registry goes on where another one ended.
  const fs::path folder = path.parent_path();
  if (is_shared_folder(folder) && status.st_uid == ::geteuid()) {
    set_permissions_in(folder, fd.get(), 0660, path.string());
  }
  return fd;
}

void cut(int fd, std::uint64_t size, const std::string& subject) {
  if (::ftruncate(fd, static_cast<off_t>(size)) != 0) fail_errno(subject, "cut");
}

// A page that could not be written is still in the cache, and right there: the next pull would take
// it for what lies on the disk.
void make_durable(int fd, const fs::path& path, const std::string& subject) {
  try {
    sync_fd(fd, subject);
  } catch (const Error&) {
    (void)::unlink(path.c_str());
    throw;
  }
}

// One file, piece by piece.
class Download {
 public:
  Download(const Repository& repository, const format::FileEntry& file, const fs::path& path,
           DownloadCount& count)
      : repository_(repository),
        file_(file),
        count_(count),
        path_(path),
        fd_(open_partial(path)),
        name_(file.path),
        passing_(file, fd_.get()) {}

  std::optional<format::PassedFile> run() {
    take_what_is_there();
    unsigned idle = 0;  // connections that broke without a new byte
    unsigned bad = 0;   // how often the piece at checked_ came wrong
    while (checked_ < file_.size) {
      const std::uint64_t before = furthest_, good = checked_;
      const HttpResponse response = read();
      if (checked_ > good) bad = 0;
      if (furthest_ > before) idle = 0;
      if (bad_piece_) {
        if (++bad == 2) refuse_piece();
        continue;
      }
      if (checked_ == file_.size) break;
      if (idle == repository_.session().options().retries) {
        repository_.session().expect(response, {}, quote(name_));
      }
      repository_.session().pause(idle++, response);
    }
    cut(fd_.get(), file_.size, name_);
    const FileStamp stamp = file_stamp(fd_.get(), name_);  // behind our last change of it
    make_durable(fd_.get(), path_, name_);
    auto passed = passing_.finish();
    if (passed) passed->stamp = stamp;
    return passed;
  }

 private:
  // Ends a request in the middle: the rest is asked for by the next one.
  struct BadPiece {};

  std::uint64_t piece_end() const {
    return std::min(file_.size, (checked_ / kChunkSize + 1) * kChunkSize);
  }
  const Digest& wanted_digest() const {
    return file_.chunks[static_cast<std::size_t>(checked_ / kChunkSize)];
  }

  // Counts bytes that stand in the file at at_; false when they complete a piece that is not right.
  bool add(std::span<const std::byte> piece) {
    while (!piece.empty()) {
      const auto room =
          static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), piece_end() - at_));
      hasher_.update(piece.first(room));
      at_ += room;
      piece = piece.subspan(room);
      if (at_ < piece_end()) continue;
      last_digest_ = hasher_.finish();
      if (last_digest_ != wanted_digest()) {
        at_ = checked_;
        return false;
      }
      take_piece();
    }
    return true;
  }

  // The bytes from checked_ to at_ are right.
  void take_piece() {
    start_writing(fd_.get(), checked_, at_ - checked_);
    checked_ = at_;
    passing_.read_to(checked_);
  }

  void take_what_is_there() {
    const std::uint64_t size = std::min(file_size(fd_.get(), name_), file_.size);
    std::vector<std::byte> buffer(std::size_t{1} << 20);
    while (at_ < size) {
      const auto piece = std::span(buffer).first(
          static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), size - at_)));
      repository_.session().require_wanted();
      read_at(fd_.get(), at_, piece, name_);
      if (!add(piece)) break;
    }
    furthest_ = at_;
    count_.kept += at_;
    repository_.session().work().advance(at_);
  }

  void take(std::span<const std::byte> piece) {
    write_at(fd_.get(), at_, piece, name_);
    count_.fetched += piece.size();
    if (!add(piece)) throw BadPiece();
    if (at_ > furthest_) {  // what is sent again was told before
      repository_.session().work().advance(at_ - furthest_);
      furthest_ = at_;
    }
  }

  HttpResponse read() {
    bad_piece_ = false;
    try {
      return repository_.read_from(
          {file_.digest, file_.size}, name_, at_,
          [this](std::uint64_t from) {
            if (from == at_) return;
            at_ = checked_ = from;  // the registry knows no ranges
            (void)hasher_.finish();
          },
          [this](std::span<const std::byte> piece) { take(piece); });
    } catch (const BadPiece&) {
      bad_piece_ = true;
      return {};
    }
  }

  [[noreturn]] void refuse_piece() {
    cut(fd_.get(), checked_, name_);  // the good pieces before it are kept
    fail(
        ErrorCode::corrupt,
        "{}: the registry sends other bytes than organ.json names: {} from byte {} on, expected {}",
        quote(name_), last_digest_.to_string(), checked_, wanted_digest().to_string());
  }

  const Repository& repository_;
  const format::FileEntry& file_;
  DownloadCount& count_;
  fs::path path_;
  UniqueFd fd_;
  std::string name_;
  format::PassingFile passing_;  // has seen the first pieces, all that were ever right
  Sha256Hasher hasher_;          // of the bytes from checked_ to at_
  std::uint64_t at_ = 0;         // bytes in the file
  std::uint64_t checked_ = 0;    // of them in pieces that are right
  std::uint64_t furthest_ = 0;   // the most that at_ was
  bool bad_piece_ = false;
  Digest last_digest_;
};

}  // namespace

PartialFolder::PartialFolder(const fs::path& registry, const Digest& version, const Work& work)
    : folder_(partial_root(registry) / version.hex()) {
  while (!lock_) {
    create_folders(folder_, Rights::folder);
    try {
      lock_.emplace(folder_ / kLock, FileLock::Kind::exclusive, kPatience, work);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::not_found) throw;  // the one before removed the folder
    }
  }
}

std::uint64_t PartialFolder::held(const Digest& blob) const {
  struct stat status {};
  constexpr std::uint64_t kUnit = 512;  // of st_blocks, whatever the file system's blocks are
  if (::lstat(path(blob).c_str(), &status) != 0) return 0;
  if (!S_ISREG(status.st_mode) || status.st_nlink != 1) return 0;  // it goes, or frees nothing
  return kUnit * static_cast<std::uint64_t>(status.st_blocks);
}

void PartialFolder::remove_empty() {
  bool empty = true;
  for (const std::string& name : list_folder(folder_)) {
    std::error_code error;
    if (name != kLock) empty = fs::file_size(folder_ / name, error) == 0 && !error && empty;
  }
  if (empty) remove();
}

void PartialFolder::remove() {
  std::error_code ignored;  // what is left is removed as old
  fs::remove_all(folder_, ignored);
  fs::remove(folder_.parent_path(), ignored);  // when it is empty
  lock_.reset();
}

void PartialFolder::remove_old(const fs::path& registry) {
  const fs::path root = partial_root(registry);
  if (!is_own_folder(root)) return;
  const auto now = fs::file_time_type::clock::now();
  for (const std::string& name : list_folder(root)) {
    std::error_code error;
    if (path_status(root / name, Symlinks::refuse) != PathStatus::folder) continue;
    const auto time = fs::last_write_time(root / name, error);
    if (error || now - time < kOld) continue;
    remove_unused(root / name);
  }
}

void PartialFolder::remove_unused(const fs::path& folder) {
  std::error_code ignored;  // what is left is removed another time
  try {
    const FileLock lock(folder / kLock, FileLock::Kind::exclusive, 0);
    fs::remove_all(folder, ignored);
  } catch (const Error& not_ours) {  // in use, or another pull removed it
    const ErrorCode code = not_ours.code();
    if (code != ErrorCode::conflict && code != ErrorCode::io && code != ErrorCode::not_found) {
      throw;
    }
  }
}

std::optional<format::PassedFile> download(const Repository& repository,
                                           const format::FileEntry& file, const fs::path& path,
                                           DownloadCount& count) {
  return Download(repository, file, path, count).run();
}

}  // namespace organ::registry
