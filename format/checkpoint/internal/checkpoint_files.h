// SPDX-License-Identifier: Apache-2.0
// Opening the files of a Hugging Face folder without leaving it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "format/base/file.h"

namespace organ::format::internal {

// `path` is `root` or lies below it, both without links.
bool is_inside(const std::filesystem::path& path, const std::filesystem::path& root);

// A folder whose files may be symlinks, but only to targets inside `root` (the folder itself, or
// the cache repository models--owner--name whose snapshots/ hold it) or trust_links_below().
class ModelFolder {
 public:
  // Throws not_found (absent, a symlink to nothing, the cache repository itself instead of one of
  // its snapshots), invalid_argument (not a folder), corrupt (symlink loop), io.
  explicit ModelFolder(const std::filesystem::path& folder);

  const std::filesystem::path& folder() const { return folder_; }
  bool has(std::string_view name) const;  // the name stands in the folder, dangling or not
  // Throws not_found (absent, dangling), corrupt (leads outside, loop, not a regular file), io.
  UniqueFd open(std::string_view name) const;
  // The whole file. Throws as open() does, and corrupt when it is longer than `limit` bytes or is a
  // Git LFS pointer.
  std::string read(std::string_view name, std::uint64_t limit) const;
  std::string subject(std::string_view name) const { return (folder_ / name).string(); }

 private:
  std::filesystem::path folder_;  // without links
  std::filesystem::path root_;
};

// *.index.json: which shard holds which tensor. What it says besides decides nothing.
struct ShardIndex {
  std::map<std::string, std::string> weight_map;  // tensor name to shard name; never empty
  // As it is written, but a whole real number as an integer; absent where the index says none. It
  // may be anything: who compares it compares texts.
  std::optional<std::string> total_size;
};

inline constexpr std::uint64_t kShardIndexLimit = std::uint64_t{64} << 20;  // bytes of its text

// Validated: shard names are safe file names that end in .safetensors, tensor names are ours.
// Throws corrupt.
ShardIndex parse_shard_index(std::string_view text, std::string_view subject);

}  // namespace organ::format::internal
