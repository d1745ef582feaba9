// SPDX-License-Identifier: Apache-2.0
#include "registry/blobs/blob_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <future>
#include <span>
#include <utility>
#include <vector>

#include "format/base/fail.h"

namespace organ::registry {
namespace {

namespace fs = std::filesystem;

std::string subject_of(const Digest& digest) { return "blob " + digest.to_string(); }

void check_status(const struct stat& status, const Digest& digest, std::uint64_t size) {
  if (!S_ISREG(status.st_mode)) {
    fail(ErrorCode::corrupt, "{}: not a regular file", subject_of(digest));
  }
  if (static_cast<std::uint64_t>(status.st_size) != size) {
    fail(ErrorCode::corrupt, "{}: has {} bytes, expected {}", subject_of(digest), status.st_size,
         size);
  }
  if ((status.st_mode & 0222) != 0) {
    throw Error(ErrorCode::corrupt,
                fmt::format("{}: is writable (mode {:04o}, expected 0444)", subject_of(digest),
                            status.st_mode & 07777u),
                "somebody changed it; verify its content before chmod 0444");
  }
}

// Copies `size` bytes, each read once, and returns their digest.
Digest copy_hashed(int from, int to, std::uint64_t size, std::string_view subject,
                   const Work& work) {
  if (clone_contents(from, to)) return hash_file_flat(to, subject, work);
  // Async falls back to deferred where the system has no thread.
  const std::launch beside =
      work.threads() > 1 ? std::launch::async | std::launch::deferred : std::launch::deferred;
  Sha256Hasher hasher;
  std::vector<std::byte> buffer(static_cast<std::size_t>(std::min(kChunkSize, size)));
  for (std::uint64_t at = 0; at < size; at += kChunkSize) {
    const auto piece =
        std::span(buffer).first(static_cast<std::size_t>(std::min(kChunkSize, size - at)));
    read_at(from, at, piece, subject);
    auto hashed = std::async(beside, [&] { hasher.update(piece); });
    write_all(to, piece, subject);
    hashed.get();
    work.advance(piece.size());
  }
  return hasher.finish();
}

// Gives an unnamed file its name; false when the name is taken.
bool link_unnamed(int fd, const fs::path& name) {
  const std::string self = fmt::format("/proc/self/fd/{}", fd);
  if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0) return true;
  if (errno != EEXIST) fail_errno(name.string(), "link");
  return false;
}

}  // namespace

BlobStore::BlobStore(fs::path registry) : folder_(std::move(registry) / "blobs" / "sha256") {}

UniqueFd BlobStore::open(const Digest& digest, std::uint64_t size) const {
  UniqueFd fd(
      ::open(path(digest).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  if (!fd) {
    if (errno == ENOENT) fail(ErrorCode::corrupt, "{}: is missing", subject_of(digest));
    if (errno == ELOOP) fail(ErrorCode::corrupt, "{}: is a symlink", subject_of(digest));
    fail_errno(path(digest).string(), "open");
  }
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) fail_errno(path(digest).string(), "stat");
  check_status(status, digest, size);
  return fd;
}

std::string BlobStore::read(const Digest& digest, std::uint64_t size) const {
  const UniqueFd fd = open(digest, size);
  std::string text = read_fd(fd.get(), size, subject_of(digest));
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
  check_status(status, digest, size);
  return true;
}

StagedBlob BlobStore::add(const Digest& digest, std::uint64_t size, const Work& work,
                          const std::function<Digest(int)>& write) const {
  StagedBlob blob{.digest = digest, .size = size, .fd = {}, .named = {}};
  if (has(digest, size)) {
    work.advance(size);
    return blob;
  }
  UniqueFd fd(::open(folder_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!fd && errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT) {
    fail_errno(folder_.string(), "create in");
  }
  // File systems without unnamed files get a temporary name instead.
  if (!fd) blob.named.emplace(path(digest));
  const int target = blob.named ? blob.named->fd() : fd.get();
  if (const Digest got = write(target); got != digest) {
    fail(ErrorCode::corrupt, "{}: the bytes to store have digest {}", subject_of(digest),
         got.to_string());
  }
  if (::fchmod(target, 0444) != 0) fail_errno(path(digest).string(), "chmod");
  sync_fd(target, subject_of(digest));
  blob.fd = std::move(fd);
  return blob;
}

bool BlobStore::link(StagedBlob blob) const {
  if (blob.named) {
    try {
      blob.named->commit(AtomicFile::Mode::create_new, 0444);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::already_exists) throw;
      return !has(blob.digest, blob.size);
    }
    return true;
  }
  if (!blob.fd) return false;
  const bool added = link_unnamed(blob.fd.get(), path(blob.digest));
  if (!added) check(has(blob.digest, blob.size), "a blob vanished while it was stored");
  return added;
}

void BlobStore::sync() const { sync_folder(folder_); }

StagedBlob BlobStore::stage(std::string_view bytes, const Digest& digest) const {
  return add(digest, bytes.size(), {}, [&](int target) {
    write_all(target, bytes, subject_of(digest));
    return sha256(bytes);
  });
}

StagedBlob BlobStore::stage(int fd, std::uint64_t size, const Digest& digest,
                            std::string_view subject, const Work& work) const {
  return add(digest, size, work, [&](int target) {
    if (const std::uint64_t now = file_size(fd, subject); now != size) {
      fail(ErrorCode::corrupt, "{}: has {} bytes, expected {}", subject, now, size);
    }
    return copy_hashed(fd, target, size, subject, work);
  });
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
