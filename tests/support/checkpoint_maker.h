// SPDX-License-Identifier: Apache-2.0
// Checkpoint folders of a few kilobytes, of any known family and config.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include <nlohmann/json.hpp>

#include "format/base/digest.h"
#include "format/checkpoint/checkpoint.h"
#include "format/tensor/tensor.h"

namespace organ::test {

// A Llama config of four small layers.
nlohmann::json small_config();

struct CheckpointOptions {
  unsigned shards = 1;
  format::DType dtype = format::DType::F32;
  std::uint64_t seed = 1;  // of the weights: F32, BF16 and F16 get finite values
};

// Writes config.json and the shards into a new folder. Headers carry white space and keys out of
// order, as no canonical writer would leave them.
void make_checkpoint(const std::filesystem::path& folder, const nlohmann::json& config,
                     const CheckpointOptions& options = {});

// The same weights in another element type, in one file.
void convert_checkpoint(const format::Checkpoint& from, const std::filesystem::path& folder,
                        format::DType type);

// SHA-256 of every regular file of the folder itself, by name.
std::map<std::string, Digest> digests_of(const std::filesystem::path& folder);

}  // namespace organ::test
