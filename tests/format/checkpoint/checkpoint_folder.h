// SPDX-License-Identifier: Apache-2.0
// Checkpoint folders of tests: a tiny Llama in one file or in shards, and what opening them says.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "format/base/file.h"
#include "format/base/json.h"
#include "format/checkpoint/checkpoint.h"
#include "tests/support/support.h"
#include "tests/support/tensor_files.h"

namespace organ::test {

inline const Json kConfig = tiny_llama_config();

inline void put_config(const std::filesystem::path& folder, const Json& config = kConfig) {
  write_file(folder / "config.json", config.dump());
}

inline void put_index(const std::filesystem::path& folder, const Json& weight_map,
                      const Json& total = nullptr) {
  Json index = {{"weight_map", weight_map}};
  if (!total.is_null()) index["metadata"] = {{"total_size", total}};
  write_file(folder / format::kShardIndex, index.dump());
}

// Two shards: layer 0 in the first, the rest in the second; returns the weight_map.
inline Json put_sharded(const std::filesystem::path& folder) {
  put_config(folder);
  Tensors shards[2];
  Json weight_map = Json::object();
  for (const auto& [name, description] : tiny_llama()) {
    const bool first = name.starts_with("model.layers.0.");
    shards[first ? 0 : 1].emplace(name, description);
    weight_map[name] =
        first ? "model-00001-of-00002.safetensors" : "model-00002-of-00002.safetensors";
  }
  put_shard(folder / "model-00001-of-00002.safetensors", shards[0]);
  put_shard(folder / "model-00002-of-00002.safetensors", shards[1]);
  put_index(folder, weight_map);
  return weight_map;
}

inline void put_single(const std::filesystem::path& folder, const Tensors& tensors = tiny_llama(),
                       const Json& config = kConfig) {
  put_model(folder, tensors, config);
}

inline std::string refusal(const std::filesystem::path& folder) {
  return error_of([&] { format::Checkpoint::open(folder); });
}

inline bool holds(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace organ::test
