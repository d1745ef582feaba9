// SPDX-License-Identifier: Apache-2.0
#include "registry/care/orphans.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "format/base/fail.h"
#include "format/base/path_status.h"

namespace organ::registry {

namespace fs = std::filesystem;

std::optional<Digest> digest_named(const std::string& name) {
  try {
    return Digest::parse_hex(name);
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::optional<StoredBlob> stored_at(const fs::path& path, const Digest& digest) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return std::nullopt;
    fail_errno(path.string(), "stat");
  }
  if (!S_ISREG(status.st_mode)) return std::nullopt;
  return StoredBlob{digest, static_cast<std::uint64_t>(status.st_size),
                    std::max<std::int64_t>(status.st_mtime, status.st_ctime)};
}

std::vector<StoredBlob> blobs_in(const fs::path& folder, std::vector<std::string>& strangers) {
  std::vector<StoredBlob> blobs;
  if (!is_folder(folder)) return blobs;
  for (const std::string& name : list_folder(folder)) {
    const std::optional<Digest> digest = digest_named(name);
    const auto blob = digest ? stored_at(folder / name, *digest) : std::nullopt;
    if (blob) {
      blobs.push_back(*blob);
    } else if (!digest || is_taken(folder / name)) {
      strangers.push_back(name);
    }
  }
  return blobs;
}

std::vector<StoredBlob> orphans_of(const BlobStore& blobs, const std::set<Digest>& referred,
                                   std::vector<std::string>& notes) {
  std::vector<std::string> strangers;
  std::vector<StoredBlob> all = blobs_in(blobs.folder(), strangers);
  std::erase_if(all, [&](const StoredBlob& blob) { return referred.contains(blob.digest); });
  for (const std::string& name : strangers) {
    notes.push_back("blobs/sha256/" + escape_text(name) + ": not an object");
  }
  return all;
}

std::uint64_t bytes_below(const fs::path& folder) {
  std::uint64_t bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    std::error_code vanished;
    const fs::file_status status = fs::symlink_status(at->path(), vanished);
    if (vanished || status.type() != fs::file_type::regular) continue;
    const std::uintmax_t size = fs::file_size(at->path(), vanished);
    if (!vanished) bytes += size;
  }
  return bytes;
}

}  // namespace organ::registry
