// SPDX-License-Identifier: Apache-2.0
// Which files make a model folder: one rule for whoever reads, copies or changes it. Thread-safe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace organ::format {

// Whether a file of the model folder `folder` may be a link to `resolved`, both without links:
// inside the folder, inside the cache repository models--owner--name whose snapshots/ hold it, or
// below a folder that is trusted (trust_links_below()).
bool may_lead_to(const std::filesystem::path& folder, const std::filesystem::path& resolved);

// Beside its shards: what a folder with other weights must not take over. Weights in other formats
// would still be the old model's, a signature would not hold.
bool belongs_to_old_weights(std::string_view name);

// A small file of a model folder, found as those of a Checkpoint are. Throws not_found, corrupt
// (leads away, no regular file, longer than `limit`, a Git LFS pointer), io.
std::string read_model_file(const std::filesystem::path& folder, std::string_view name,
                            std::uint64_t limit);

}  // namespace organ::format
