// SPDX-License-Identifier: Apache-2.0
#include "registry/blobs/blob_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "format/base/fail.h"
#include "format/base/file_system.h"
#include "format/base/path_status.h"
#include "format/base/try_thread.h"

namespace organ::registry {
namespace {

namespace fs = std::filesystem;

std::string subject_of(const Digest& digest) { return "blob " + digest.to_string(); }

[[noreturn]] void unreadable(const Digest& digest, std::string_view why) {
  throw UnreadableBlob(ErrorCode::io,
                       fmt::format("{}: cannot be read: {}", subject_of(digest), why));
}

// False too when the medium does not give its bytes back.
bool is_that(int fd, const Digest& digest, const Work& work) {
  try {
    return hash_file_flat(fd, subject_of(digest), work) == digest;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::io) throw;
    return false;
  }
}

void check_status(const struct stat& status, const Digest& digest, std::uint64_t size) {
  if (!S_ISREG(status.st_mode)) {
    fail(ErrorCode::corrupt, "{}: not a regular file", subject_of(digest));
  }
  if (static_cast<std::uint64_t>(status.st_size) != size) {
    fail(ErrorCode::corrupt, "{}: has {}, expected {}", subject_of(digest),
         counted(status.st_size, "byte"), size);
  }
  // Its mode says nothing: media without modes and copies lose it. The digest decides.
}

void require_size(int fd, std::uint64_t size, std::string_view subject) {
  if (const std::uint64_t now = file_size(fd, subject); now != size) {
    fail(ErrorCode::corrupt, "{}: has {}, expected {}", subject, counted(now, "byte"), size);
  }
}

void require_digest(const Digest& got, const Digest& digest) {
  if (got == digest) return;
  fail(ErrorCode::corrupt, "{}: the bytes to store have digest {}", subject_of(digest),
       got.to_string());
}

// Held by whoever writes a temporary file for as long as it lives; a lock of the file itself, so
// that it ends with its process.
bool lock_file(int fd, int how) { return ::flock(fd, LOCK_EX | how) == 0; }

// A temporary file that remove_leftovers() of other processes leaves alone. One of them may have
// taken it for a leftover before the lock was ours.
AtomicFile temporary_for(const fs::path& path, const fs::path& folder) {
  create_folders(folder, Rights::folder);
  for (;;) {
    AtomicFile file(path, folder);
    const bool locked = lock_file(file.fd(), 0);  // no locks there: nobody removes it either
    struct stat status {};
    if (::fstat(file.fd(), &status) != 0) fail_errno(path.string(), "stat");
    if (!locked || status.st_nlink > 0) return file;
  }
}

// Copies `size` bytes, each read once, and returns their digest.
Digest copy_hashed(int from, int to, std::uint64_t size, std::string_view subject,
                   const Work& work) {
  if (clone_contents(from, to)) return hash_file_flat(to, subject, work);
  Sha256Hasher hasher;
  std::vector<std::byte> buffer(static_cast<std::size_t>(std::min(kChunkSize, size)));
  HashBeside beside(size > kChunkSize ? work.threads() : 1);
  for (std::uint64_t at = 0; at < size; at += kChunkSize) {
    const auto piece =
        std::span(buffer).first(static_cast<std::size_t>(std::min(kChunkSize, size - at)));
    read_at(from, at, piece, subject);
    beside.update(hasher, piece);
    write_all(to, piece, subject);
    beside.wait();
    work.advance(piece.size());
  }
  return hasher.finish();
}

// Gives a file its name unless the name is taken; false then.
bool name_file(AtomicFile file) {
  try {
    file.commit(AtomicFile::Mode::create_new, 0444, Rights::folder);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::already_exists) throw;
    return false;
  }
  return true;
}

// The same for an unnamed one; where it cannot be linked its copy gets the name.
bool link_unnamed(int fd, const fs::path& name, const fs::path& temporaries) {
  const std::string self = fmt::format("/proc/self/fd/{}", fd);
  if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0) return true;
  if (errno == EEXIST) return false;
  if (!lacks_links(errno)) fail_errno(name.string(), "link");
  AtomicFile copy = temporary_for(name, temporaries);
  copy_contents(fd, copy.fd(), name.string());
  return name_file(std::move(copy));
}

}  // namespace

bool is_of_one_file(int error) {
  return error != EMFILE && error != ENFILE && error != ENOMEM && error != ENOSPC;
}

BlobStore::BlobStore(const fs::path& registry)
    : folder_(registry / "blobs" / "sha256"), staging_(registry / "organ" / "staging") {}

UniqueFd BlobStore::open(const Digest& digest, std::uint64_t size) const {
  UniqueFd fd(
      ::open(path(digest).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  if (!fd) {
    if (errno == ENOENT) fail(ErrorCode::corrupt, "{}: is missing", subject_of(digest));
    if (errno == ELOOP) fail(ErrorCode::corrupt, "{}: is a symlink", subject_of(digest));
    if (is_of_one_file(errno)) unreadable(digest, std::strerror(errno));
    fail_errno(path(digest).string(), "open");
  }
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) fail_errno(path(digest).string(), "stat");
  check_status(status, digest, size);
  return fd;
}

std::string BlobStore::read(const Digest& digest, std::uint64_t size) const {
  const UniqueFd fd = open(digest, size);
  std::string text;
  try {
    text = read_fd(fd.get(), size, subject_of(digest));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::io) throw UnreadableBlob(error.code(), error.message());
    throw;
  }
  if (const Digest got = sha256(text); got != digest) {
    fail(ErrorCode::corrupt, "{}: content has digest {}", subject_of(digest), got.to_string());
  }
  return text;
}

bool BlobStore::has(const Digest& digest, std::uint64_t size) const {
  struct stat status {};
  if (::lstat(path(digest).c_str(), &status) != 0) {
    if (errno == ENOENT) return false;
    fail_errno(path(digest).string(), "stat");
  }
  return S_ISREG(status.st_mode) && static_cast<std::uint64_t>(status.st_size) == size;
}

std::optional<FileStamp> BlobStore::state(const Digest& digest, std::uint64_t size) const {
  const auto state = file_stamp(path(digest));
  return state && state->size == size ? state : std::nullopt;
}

bool BlobStore::is_whole(const Digest& digest, std::uint64_t size, const Work& work) const {
  if (!has(digest, size)) return false;
  try {
    const UniqueFd fd = open(digest, size);
    return is_that(fd.get(), digest, work);
  } catch (const UnreadableBlob&) {
    return false;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::corrupt) throw;
    return false;  // gone or changed meanwhile
  }
}

bool BlobStore::is_taken(const Digest& digest) const { return organ::is_taken(path(digest)); }

bool BlobStore::is_writable(const Digest& digest) const {
  struct stat status {};
  return ::lstat(path(digest).c_str(), &status) == 0 && (status.st_mode & 0222) != 0;
}

StagedBlob BlobStore::stage_written(const Digest& digest, std::uint64_t size, const Work& work,
                                    const std::function<Digest(int)>& write) const {
  StagedBlob blob{.digest = digest, .size = size, .fd = {}, .named = {}};
  if (is_whole(digest, size, work.uncounted())) {
    work.advance(size);
    return blob;
  }
  blob.mends = is_taken(digest);
  UniqueFd fd(::open(folder_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!fd && errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT && errno != EINVAL) {
    fail_errno(folder_.string(), "create in");
  }
  // File systems without unnamed files get a temporary name instead.
  if (!fd) blob.named.emplace(temporary_for(path(digest), staging_));
  const int target = blob.named ? blob.named->fd() : fd.get();
  require_digest(write(target), digest);
  set_permissions_in(folder_, target, 0444, path(digest).string());
  sync_fd(target, subject_of(digest));
  blob.fd = std::move(fd);
  return blob;
}

bool BlobStore::link(StagedBlob blob) const {
  if (blob.mends) return replace(std::move(blob));
  if (blob.named) {
    const bool named = name_file(*std::move(blob.named));
    if (!named) check(has(blob.digest, blob.size), "a blob vanished while it was stored");
    return named;
  }
  if (!blob.fd) return false;
  const bool added = link_unnamed(blob.fd.get(), path(blob.digest), staging_);
  if (!added) check(has(blob.digest, blob.size), "a blob vanished while it was stored");
  return added;
}

// What lies there is damaged, by contents, size or kind. Whoever reads it goes on reading it.
bool BlobStore::replace(StagedBlob blob) const {
  const fs::path name = path(blob.digest);
  if (!blob.named) {
    blob.named.emplace(temporary_for(name, staging_));
    copy_contents(blob.fd.get(), blob.named->fd(), name.string());
  }
  if (is_folder(name)) {
    fail(ErrorCode::corrupt, "{}: a folder lies in its place", subject_of(blob.digest));
  }
  blob.named->commit(AtomicFile::Mode::replace, 0444, Rights::folder);
  return true;
}

void BlobStore::sync() const { sync_folder(folder_); }

void BlobStore::remove_leftovers() const {
  if (!is_folder(staging_)) return;
  for (const std::string& name : list_folder(staging_)) {
    if (!name.starts_with('.') || !name.ends_with(".tmp")) continue;
    const fs::path path = staging_ / name;
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (fd && lock_file(fd.get(), LOCK_NB)) (void)::unlink(path.c_str());
  }
}

StagedBlob BlobStore::stage(std::string_view bytes, const Digest& digest) const {
  return stage_written(digest, bytes.size(), {}, [&](int target) {
    write_all(target, bytes, subject_of(digest));
    return sha256(bytes);
  });
}

StagedBlob BlobStore::stage(int fd, std::uint64_t size, const Digest& digest,
                            std::string_view subject, const Work& work) const {
  return stage_written(digest, size, work, [&](int target) {
    require_size(fd, size, subject);
    return copy_hashed(fd, target, size, subject, work);
  });
}

// Tried, under a name that remove_leftovers() knows: quotas of projects and some file systems
// refuse it for reasons that no call tells.
bool BlobStore::can_link(int fd, const Digest& digest) const {
  create_folders(staging_, Rights::folder);
  const fs::path probe = staging_ / fmt::format(".{}.{}.tmp", digest.hex(), ::getpid());
  const std::string self = fmt::format("/proc/self/fd/{}", fd);
  if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, probe.c_str(), AT_SYMLINK_FOLLOW) != 0) {
    return false;
  }
  if (::unlink(probe.c_str()) != 0 && errno != ENOENT) fail_errno(probe.string(), "remove");
  return true;
}

bool BlobStore::would_adopt(int fd, const Digest& digest) const {
  struct stat status {};
  if (::fstat(fd, &status) != 0) fail_errno(subject_of(digest), "stat a file for");
  // A damaged object is replaced by a copy: the file would be none of ours under two names. In a
  // group's registry others may have the file open for writing.
  if (is_taken(digest) || is_shared_folder(folder_)) return false;
  if (status.st_nlink != 1 || status.st_uid != ::geteuid()) return false;
  if ((status.st_mode & 0022) != 0) return false;  // it was shared while it was fetched
  struct stat blobs {};
  if (::stat(folder_.c_str(), &blobs) != 0) fail_errno(folder_.string(), "stat");
  return status.st_dev == blobs.st_dev && can_link(fd, digest);
}

StagedBlob BlobStore::adopt(UniqueFd fd, std::uint64_t size, const Digest& digest,
                            std::string_view subject, const Work& work,
                            const std::optional<FileStamp>& known) const {
  const bool was_known = known && file_stamp(fd.get(), subject) == *known;
  if (!would_adopt(fd.get(), digest)) return stage(fd.get(), size, digest, subject, work);
  // Nobody of this registry writes it from here on: what is hashed is what gets the name.
  set_permissions_in(folder_, fd.get(), 0444, path(digest).string());
  require_size(fd.get(), size, subject);
  // What was asked and done here changed its names and rights alone.
  if (was_known && file_stamp(fd.get(), subject).has_contents_of(*known)) {
    work.advance(size);
  } else {
    require_digest(hash_file_flat(fd.get(), subject, work), digest);
  }
  try {
    sync_fd(fd.get(), subject_of(digest));
  } catch (const Error&) {
    (void)::fchmod(fd.get(), 0);
    throw;
  }
  return {.digest = digest, .size = size, .fd = std::move(fd), .named = {}};
}

std::vector<Digest> BlobStore::list(std::vector<std::string>& strangers) const {
  std::vector<Digest> digests;
  for (std::string& name : list_folder(folder_)) {
    try {
      digests.push_back(Digest::parse_hex(name));
    } catch (const Error&) {
      strangers.push_back(std::move(name));
    }
  }
  return digests;
}

}  // namespace organ::registry
