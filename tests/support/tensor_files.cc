// SPDX-License-Identifier: Apache-2.0
#include "tests/support/tensor_files.h"

#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "format/architecture/architecture.h"
#include "format/architecture/architecture_reader.h"
#include "format/base/file.h"
#include "format/tensor/safetensors.h"

namespace organ::test {

using namespace organ::format;

void put_shard(const std::filesystem::path& path, const Tensors& tensors) {
  std::vector<TensorSource> sources;
  for (const auto& [name, description] : tensors) {
    TensorInfo info{name, description.first, description.second, 0, 0};
    info.size = byte_size(info.dtype, info.shape, name);
    const auto seed = static_cast<unsigned char>(sha256(name).bytes()[0]);
    sources.push_back({info, [seed](std::uint64_t offset, std::span<std::byte> out) {
                         for (std::byte& b : out) b = static_cast<std::byte>(seed + offset++);
                       }});
  }
  AtomicFile file(path);
  write_safetensors(file.fd(), std::move(sources), {}, path.string());
  file.commit();
}

void put_model(const std::filesystem::path& folder, const Tensors& tensors,
               const nlohmann::json& config) {
  write_file(folder / "config.json", config.dump());
  put_shard(folder / "model.safetensors", tensors);
}

nlohmann::json tiny_llama_config() {
  return {{"model_type", "llama"},  {"hidden_size", 8},           {"intermediate_size", 12},
          {"num_hidden_layers", 2}, {"num_attention_heads", 2},   {"num_key_value_heads", 1},
          {"vocab_size", 16},       {"tie_word_embeddings", true}};
}

Tensors tiny_llama() {
  Tensors tensors = {{"model.embed_tokens.weight", {DType::F32, {16, 8}}},
                     {"model.norm.weight", {DType::F32, {8}}}};
  const auto model = ArchitectureReader::from_config(tiny_llama_config(), "config.json");
  for (std::uint64_t layer = 0; layer < model.layer_count(); ++layer) {
    for (const LayerTensor& tensor : model.tensors()) {
      tensors[fmt::format("model.layers.{}.{}", layer, tensor.name)] = {DType::F32, tensor.shape};
    }
  }
  return tensors;
}

}  // namespace organ::test
