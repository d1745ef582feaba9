// SPDX-License-Identifier: Apache-2.0
// blobs/sha256/<hex>: every object of a registry, raw, mode 0444, named by its SHA-256. Objects are
// addressed by Digest only, so no text from outside ever becomes a path.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/digest.h"
#include "format/base/error.h"
#include "format/base/file.h"
#include "registry/blobs/read_memory.h"

namespace organ::registry {

// An object that is whole and durable but has no name yet: it goes with this value. Holds a file
// open. Move-only.
struct StagedBlob {
  Digest digest;
  std::uint64_t size = 0;
  UniqueFd fd;                      // unnamed, or one that was adopted
  std::optional<AtomicFile> named;  // where the file system knows no unnamed files
  bool mends = false;               // takes the place of a damaged one
};                                  // neither: the object was here already

// The medium does not give back an object that is there, or nobody may read it: of code io, and
// about this object alone. Where the whole machine fails (no more open files) it is another Error.
class UnreadableBlob : public Error {
 public:
  using Error::Error;
};
// Whether an open(2) that failed so says nothing of other files.
bool is_of_one_file(int error);

// A value that knows where the blobs lie. Thread-safe, also between processes: an object appears
// whole or not at all and never changes.
class BlobStore {
 public:
  explicit BlobStore(
      const std::filesystem::path& registry);  // the folder that holds blobs/, organ/

  // Opens an object that something refers to. Throws corrupt when it is missing, a symlink, folder
  // or device, or of another size, UnreadableBlob. Contents are not read; the mode means nothing.
  UniqueFd open(const Digest& digest, std::uint64_t size) const;
  // A small object whole, its digest checked. Throws as open, and corrupt.
  std::string read(const Digest& digest, std::uint64_t size) const;

  // Whether something of this size lies under the object's name. Its contents are not read.
  bool has(const Digest& digest, std::uint64_t size) const;
  // Whether the object is here whole: all of it is read, and what cannot be read is not. `work` is
  // told of its bytes.
  bool is_whole(const Digest& digest, std::uint64_t size, const Work& work = {}) const;

  // What the file system says of it; nothing when it is no regular file of this size. Its contents
  // are not read.
  std::optional<FileStamp> state(const Digest& digest, std::uint64_t size) const;

  // Its mode lets somebody write into it; false when it is not there.
  bool is_writable(const Digest& digest) const;

  // The first half of adding an object: written to an unnamed file, the digest of what was written
  // checked, fsync, 0444. A file is read once. An object that is here already is read instead, and
  // written anew when it is damaged. `work` is told of its bytes. Throws corrupt when the bytes
  // have another digest or size, io, cancelled.
  StagedBlob stage(std::string_view bytes, const Digest& digest) const;
  StagedBlob stage(int fd, std::uint64_t size, const Digest& digest, std::string_view subject,
                   const Work& work = {}) const;
  // The same of a file that was fetched for this store: where would_adopt() says so it becomes the
  // object itself, and its other name is to be removed soon; else it is copied. One that cannot be
  // made durable gets mode 0: its bytes are in the cache alone, and not to be believed. `known`:
  // what the file was when its digest had been found right. It is not hashed when it is that still;
  // a copy is hashed in any case.
  StagedBlob adopt(UniqueFd fd, std::uint64_t size, const Digest& digest, std::string_view subject,
                   const Work& work = {},
                   const std::optional<FileStamp>& known = std::nullopt) const;
  // Whether the file can become this object: no other name, our user, written by nobody else, in a
  // file system where it can be linked, and nothing lies in the object's place.
  bool would_adopt(int fd, const Digest& digest) const;
  // The same of what `write` puts into an open, empty file; it returns the digest of that.
  StagedBlob stage_written(const Digest& digest, std::uint64_t size, const Work& work,
                           const std::function<Digest(int fd)>& write) const;
  // The second: gives it its name, in place of what was found damaged under it. Returns false when
  // it was here already. The name is durable after sync(), which must precede anything that refers
  // to it, also when the object was here: its writer may have died before its own sync.
  bool link(StagedBlob blob) const;
  bool put(std::string_view bytes, const Digest& digest) const {
    return link(stage(bytes, digest));
  }
  void sync() const;
  // Removes temporary files of processes that died; what cannot be removed stays.
  void remove_leftovers() const;

  // Every name in the folder that is an object's; others (temporaries of a crash) in `strangers`.
  std::vector<Digest> list(std::vector<std::string>& strangers) const;

  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path path(const Digest& digest) const { return folder_ / digest.hex(); }

 private:
  bool is_taken(const Digest& digest) const;
  bool can_link(int fd, const Digest& digest) const;
  bool replace(StagedBlob blob) const;
  std::filesystem::path folder_;
  std::filesystem::path staging_;  // temporary names where there are no unnamed files
};

}  // namespace organ::registry
