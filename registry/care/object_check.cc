// SPDX-License-Identifier: Apache-2.0
#include "registry/care/object_check.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/path_status.h"

namespace organ::registry {
namespace {

using format::FileEntry;
using format::TensorInfo;
using Piece = DamagedObject::Piece;

// The pieces of the file as it is that are not those of organ.json.
std::vector<Piece> wrong_pieces(const FileEntry& entry, const FileDigest& found) {
  std::vector<Piece> wrong;
  for (std::size_t i = 0; i < entry.chunks.size(); ++i) {
    if (i < found.chunks.size() && found.chunks[i] == entry.chunks[i]) continue;
    const std::uint64_t begin = i * kChunkSize;
    wrong.push_back({begin, std::min(begin + kChunkSize, entry.size)});
  }
  return wrong;
}

bool touches(const Piece& piece, std::uint64_t begin, std::uint64_t end) {
  return piece.begin < end && begin < piece.end;
}

// Whether a tensor's own bytes are wrong; each is hashed once, and only beside a wrong piece.
bool is_wrong(int fd, const FileEntry& entry, std::size_t index, std::uint64_t size,
              const Work& work) {
  const TensorInfo& tensor = entry.tensors[index];
  const std::uint64_t begin = entry.data_start + tensor.offset;
  if (begin + tensor.size > size) return true;  // cut off
  const HashRange range{fd, begin, tensor.size};
  return hash_ranges({&range, 1}, entry.path, work)[0] != entry.tensor_digests[index];
}

std::vector<std::string> wrong_tensors(int fd, const FileEntry& entry,
                                       const std::vector<Piece>& pieces, std::uint64_t size,
                                       const Work& work) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < entry.tensors.size(); ++i) {
    const std::uint64_t begin = entry.data_start + entry.tensors[i].offset;
    const std::uint64_t end = begin + entry.tensors[i].size;
    const bool beside =
        std::ranges::any_of(pieces, [&](const Piece& piece) { return touches(piece, begin, end); });
    if (beside && is_wrong(fd, entry, i, size, work)) names.push_back(entry.tensors[i].name);
  }
  return names;
}

// Of a file that is longer than the object only so much as the object has, in pieces: what lies
// behind may be of any length.
FileDigest hash_front(int fd, const BlobRef& blob, const Work& work) {
  const std::string subject = "blob " + blob.digest.to_string();
  FileDigest found;
  found.size = file_size(fd, subject);
  if (found.size <= blob.size) return hash_file(fd, subject, work);
  std::vector<HashRange> ranges;
  for (std::uint64_t at = 0; at < blob.size; at += kChunkSize) {
    ranges.push_back({fd, at, std::min(kChunkSize, blob.size - at)});
  }
  found.chunks = hash_ranges(ranges, subject, work);
  return found;
}

DamagedObject described(const ObjectUse& use, std::string message) {
  DamagedObject damage;
  damage.blob = use.blob;
  damage.kind = to_string(use.kind);
  damage.file = use.file;
  damage.message = std::move(message);
  return damage;
}

DamagedObject absent(const BlobStore& blobs, const ObjectUse& use) {
  DamagedObject damage = described(use, "is missing");
  const std::filesystem::path path = blobs.path(use.blob.digest);
  damage.missing = !is_taken(path);
  std::string unreadable;
  if (!damage.missing && !open_as_it_is(path, &unreadable)) {
    damage.folder = path_status(path, Symlinks::refuse) == PathStatus::folder;
    damage.message = !unreadable.empty() ? "cannot be read: " + unreadable
                     : damage.folder     ? "a folder lies in its place"
                                         : "not a regular file";
  }
  damage.pieces.push_back({0, use.blob.size});
  return damage;
}

}  // namespace

UniqueFd open_as_it_is(const std::filesystem::path& path, std::string* unreadable) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  if (!fd) {
    if (errno == ENOENT || errno == ELOOP || errno == ENXIO) return {};
    if (!is_of_one_file(errno)) fail_errno(path.string(), "open");
    if (unreadable != nullptr) *unreadable = std::strerror(errno);
    return {};
  }
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) fail_errno(path.string(), "stat");
  return S_ISREG(status.st_mode) ? std::move(fd) : UniqueFd();
}

std::optional<DamagedObject> check_file(const BlobStore& blobs, const ObjectUse& use,
                                        const EntryOf& entry_of, std::vector<Digest>& pieces,
                                        const Work& work) {
  const UniqueFd fd = open_as_it_is(blobs.path(use.blob.digest));
  std::optional<FileDigest> found;
  std::string why = "is missing";
  if (fd) {
    try {
      found = hash_front(fd.get(), use.blob, work);
    } catch (const Error& error) {
      // The medium does not give it back, or it shrank meanwhile: damage of this object alone.
      if (error.code() != ErrorCode::io && error.code() != ErrorCode::corrupt) throw;
      why = error.message();
    }
  }
  if (found && found->digest == use.blob.digest && found->size == use.blob.size) {
    return std::nullopt;
  }
  const std::optional<FileEntry> entry = entry_of();
  if (entry) pieces = entry->chunks;
  if (!fd) return absent(blobs, use);
  if (found) {
    why = found->size == use.blob.size
              ? fmt::format("content has digest {}", found->digest.to_string())
              : fmt::format("has {}, expected {}", counted(found->size, "byte"), use.blob.size);
  }
  DamagedObject damage = described(use, why);
  if (!entry || !found) {
    damage.pieces.push_back({0, use.blob.size});
    return damage;
  }
  damage.pieces = wrong_pieces(*entry, *found);
  damage.tensors = wrong_tensors(fd.get(), *entry, damage.pieces, found->size, work.uncounted());
  if (damage.tensors.empty() && !entry->tensors.empty())
    damage.message += ", outside of its tensors";
  return damage;
}

DamagedObject damage_of(const BlobStore& blobs, const ObjectUse& use, std::string why) {
  if (!open_as_it_is(blobs.path(use.blob.digest))) return absent(blobs, use);
  DamagedObject damage = described(use, std::move(why));
  damage.pieces.push_back({0, use.blob.size});
  return damage;
}

}  // namespace organ::registry
