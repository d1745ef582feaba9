// SPDX-License-Identifier: Apache-2.0
// Which files make a model folder: one rule for whoever reads, copies or changes it. Thread-safe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/handle.h"

namespace organ::format {

// Whether a file of the model folder `folder` may be a link to `resolved`, both without links:
// inside the folder, inside the cache repository models--owner--name whose snapshots/ hold it, or
// below a folder that is trusted (trust_links_below()).
bool may_lead_to(const std::filesystem::path& folder, const std::filesystem::path& resolved);

// Opens a regular file of a model folder (without links in its own path) for reading. Nothing when
// the entry is no file, or a link that leads to none or out of the model.
UniqueFd open_model_file(const std::filesystem::path& folder, const std::string& name);

// Whether the entry is a link to a file outside that is not followed.
bool leads_away(const std::filesystem::path& folder, const std::string& name);

// An entry of a model folder that a folder made of it does not take over.
struct LeftOut {
  std::string name;
  bool leads_away = false;
};

// Shows whoever copies a model, or records what it is, all of its files by name: regular files
// under safe names; names that begin with a dot are none of a model's. Returns the other entries:
// folders, odd names, links that are not followed. Throws not_found, io.
using SeenFile = std::function<void(const std::string& name, int fd)>;
std::vector<LeftOut> visit_model_files(const std::filesystem::path& folder, const SeenFile& seen);

// Beside its shards: what a folder with other weights must not take over. Weights in other formats
// would still be the old model's, so would an index over them; a signature would not hold. What
// only has a meaning beside such a file goes with it: an adapter's configuration, the state of a
// training run.
bool belongs_to_old_weights(std::string_view name);

inline constexpr std::string_view kAdapterConfigFile = "adapter_config.json";

// Whether an adapter lies in the model's own folder: transformers, where PEFT is installed, then
// computes with it, organ reads the weights alone.
bool has_own_adapter(const std::filesystem::path& folder);
// For whoever computes with the weights. Throws incompatible when there is such an adapter.
void require_no_own_adapter(const std::filesystem::path& folder);

// A small file of a model folder, found as those of a Checkpoint are. Throws not_found, corrupt
// (leads away, no regular file, longer than `limit`, a Git LFS pointer), io.
std::string read_model_file(const std::filesystem::path& folder, std::string_view name,
                            std::uint64_t limit);

}  // namespace organ::format
