// SPDX-License-Identifier: Apache-2.0
// Checkpoint folders of any tensors at all.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <utility>

#include <nlohmann/json_fwd.hpp>

#include "format/tensor/tensor.h"

namespace organ::test {

using Tensors = std::map<std::string, std::pair<format::DType, format::Shape>>;

// A safetensors file whose bytes depend on nothing but the tensors' names.
void put_shard(const std::filesystem::path& path, const Tensors& tensors);

// config.json and model.safetensors, over what was there.
void put_model(const std::filesystem::path& folder, const Tensors& tensors,
               const nlohmann::json& config);

// Two layers of a Llama, embedding and final norm; F32.
nlohmann::json tiny_llama_config();
Tensors tiny_llama();

}  // namespace organ::test
