// SPDX-License-Identifier: Apache-2.0
// What lies among the objects of a registry, known or not.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "registry/blobs/blob_store.h"

namespace organ::registry {

// A file named by a digest, as the folder shows it. Its bytes were not read.
struct StoredBlob {
  Digest digest;
  std::uint64_t size = 0;
  // When its bytes, its name or its mode changed last, by this machine's clock, in seconds; what a
  // copy takes over from elsewhere (mtime) makes nothing older.
  std::int64_t changed = 0;
  bool operator==(const StoredBlob&) const = default;
};

// What a name says, if it is the 64 hex digits of a digest.
std::optional<Digest> digest_named(const std::string& name);

// One file by its path; nothing when no regular file lies there. Throws io.
std::optional<StoredBlob> stored_at(const std::filesystem::path& path, const Digest& digest);

// The regular files of a folder whose names are digests; nothing when there is no such folder.
// Files that vanish meanwhile are left out. Other names are told to `strangers`.
std::vector<StoredBlob> blobs_in(const std::filesystem::path& folder,
                                 std::vector<std::string>& strangers);

// Objects that nothing refers to; names that are none go to `notes`.
std::vector<StoredBlob> orphans_of(const BlobStore& blobs, const std::set<Digest>& referred,
                                   std::vector<std::string>& notes);

// Bytes of all regular files below a folder; 0 when it is not there.
std::uint64_t bytes_below(const std::filesystem::path& folder);

}  // namespace organ::registry
