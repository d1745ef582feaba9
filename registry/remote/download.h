// SPDX-License-Identifier: Apache-2.0
// Blobs on their way here: files that survive an interruption and are never believed.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <optional>

#include "format/base/file.h"
#include "format/manifest/manifest.h"
#include "format/organ/organ_source.h"
#include "registry/remote/repository.h"

namespace organ::registry {

// organ/partial/<hex of the version's manifest>/ of a registry: one file per blob, named by its
// digest. One process has it at a time. Not thread-safe but for path().
class PartialFolder {
 public:
  // Throws conflict when another process pulls the same version, io.
  PartialFolder(const std::filesystem::path& registry, const Digest& version, const Work& work);
  std::filesystem::path path(const Digest& blob) const { return folder_ / blob.hex(); }
  // Bytes of the disk that an earlier pull has filled for a blob; 0: none.
  std::uint64_t held(const Digest& blob) const;
  // Removes it with all that is in it.
  void remove();
  // Removes it when no file in it has a byte.
  void remove_empty();
  // Removes what was begun more than a week ago, by whom ever, and is not in use.
  static void remove_old(const std::filesystem::path& registry);
  // Removes such a folder of a registry unless somebody pulls into it.
  static void remove_unused(const std::filesystem::path& folder);

 private:
  std::filesystem::path folder_;
  std::optional<FileLock> lock_;
};

// Bytes, of all downloads together.
struct DownloadCount {
  std::atomic<std::uint64_t> fetched = 0;  // came over the network, bad and repeated ones too
  std::atomic<std::uint64_t> kept = 0;     // of earlier attempts, hashed again and found good
};

// Completes `path` to the file `file` of an organ, and makes it durable, or removes it.
// What is there is hashed first, in the pieces that organ.json names, and kept as far as it is
// right. Each piece is checked when it is whole; a bad one is asked for once more, and only it.
// Throws corrupt for one that is bad twice: what is right before it stays; io, also when the
// connection breaks too often without any progress.
// Returns what a look at all of it found; nothing when organ.json contradicts it.
std::optional<format::PassedFile> download(const Repository& repository,
                                           const format::FileEntry& file,
                                           const std::filesystem::path& path, DownloadCount& count);

}  // namespace organ::registry
