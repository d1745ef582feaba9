// SPDX-License-Identifier: Apache-2.0
#include "tests/support/checkpoint_maker.h"

#include <bit>
#include <map>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "format/architecture/architecture.h"
#include "format/architecture/architecture_reader.h"
#include "format/base/file.h"
#include "format/tensor/convert.h"

namespace organ::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct Tensor {
  std::string name;
  format::Shape shape;
  format::DType dtype;
};

// GPT-2 and BERT files are often those of the base class.
std::string_view model_prefix(const format::FamilyLayout& layout) {
  return layout.optional_prefix == "model." ? layout.optional_prefix : std::string_view();
}

std::vector<Tensor> tensors_of(const json& config, format::DType dtype) {
  std::map<std::string, Tensor> tensors;  // stacks of one model share the embedding
  const auto add = [&](const std::string& name, format::Shape shape,
                       std::optional<format::DType> own) {
    tensors[name] = {name, std::move(shape), own.value_or(dtype)};
  };
  for (const auto& layout : format::family_stacks(config.at("model_type").get<std::string>())) {
    const auto model = format::ArchitectureReader::from_config(config, "config.json", layout.stack);
    const std::string prefix(model_prefix(layout));
    add(prefix + std::string(layout.embedding), {model.vocab_size(), model.hidden_size()}, {});
    if (!layout.final_norm.empty()) {
      add(prefix + std::string(layout.final_norm), {model.hidden_size()}, {});
    }
    for (std::uint64_t i = 0; i < model.layer_count(); ++i) {
      for (const format::LayerTensor& tensor : model.tensors()) {
        add(fmt::format("{}{}{}.{}", prefix, layout.layer_prefix, i, tensor.name), tensor.shape,
            tensor.dtype);
      }
    }
    if (!layout.shared_tensor.empty()) {
      add(fmt::format("{}0.{}", layout.layer_prefix, layout.shared_tensor), model.shared_shape(),
          {});
    }
  }
  std::vector<Tensor> list;
  list.reserve(tensors.size());
  for (auto& [name, tensor] : tensors) list.push_back(std::move(tensor));
  return list;
}

std::string weights(format::DType dtype, std::uint64_t bytes, std::mt19937_64& random) {
  std::string out;
  std::uniform_real_distribution<float> value(-1, 1);
  while (out.size() < bytes) {
    const auto bits = std::bit_cast<std::uint32_t>(value(random));
    const std::uint32_t stored = dtype == format::DType::F32 || dtype == format::DType::U8 ? bits
                                 : dtype == format::DType::BF16
                                     ? bits >> 16
                                     : 0x3000u | (bits >> 8 & 0x8BFFu);  // F16 below 1
    for (unsigned i = 0; i < format::bit_width(dtype) / 8; ++i) {
      out += static_cast<char>(stored >> (8 * i) & 0xFF);
    }
  }
  return out;
}

void write_shard(const fs::path& path, const std::vector<Tensor>& tensors,
                 std::mt19937_64& random) {
  std::string header = "{\n", data;
  for (const auto& [name, shape, dtype] : tensors) {
    const std::uint64_t size = format::byte_size(dtype, shape, name);
    header += fmt::format("{} \"{}\" : {{\"shape\":{}, \"data_offsets\":[{},{}],\"dtype\":\"{}\"}}",
                          header.size() > 2 ? ",\n" : "", name, json(shape).dump(), data.size(),
                          data.size() + size, to_string(dtype));
    data += weights(dtype, size, random);
  }
  header += "\n}   ";
  std::string length(8, '\0');
  for (unsigned i = 0; i < 8; ++i) length[i] = static_cast<char>(header.size() >> (8 * i) & 0xFF);
  write_file(path, length + header + data);
}

}  // namespace

json small_config() {
  return {{"model_type", "llama"},    {"hidden_size", 8},
          {"intermediate_size", 12},  {"num_hidden_layers", 4},
          {"num_attention_heads", 2}, {"num_key_value_heads", 1},
          {"vocab_size", 16},         {"max_position_embeddings", 32},
          {"rms_norm_eps", 1e-5},     {"rope_theta", 10000.0},
          {"hidden_act", "silu"},     {"tie_word_embeddings", true}};
}

void make_checkpoint(const fs::path& folder, const json& config, const CheckpointOptions& options) {
  fs::create_directories(folder);
  write_file(folder / "config.json", config.dump(2));
  write_file(folder / "generation_config.json", "{}\n");
  std::mt19937_64 random(options.seed);
  const auto tensors = tensors_of(config, options.dtype);
  if (options.shards == 1) {
    write_shard(folder / "model.safetensors", tensors, random);
    return;
  }
  json weight_map = json::object();
  std::uint64_t total = 0;
  for (unsigned i = 0; i < options.shards; ++i) {
    const std::string name = fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, options.shards);
    std::vector<Tensor> part;
    for (std::size_t j = i; j < tensors.size(); j += options.shards) {
      part.push_back(tensors[j]);
      weight_map[tensors[j].name] = name;
      total += format::byte_size(tensors[j].dtype, tensors[j].shape, tensors[j].name);
    }
    write_shard(folder / name, part, random);
  }
  write_file(folder / "model.safetensors.index.json",
             json{{"metadata", {{"total_size", total}}}, {"weight_map", weight_map}}.dump(1));
}

void convert_checkpoint(const format::Checkpoint& from, const fs::path& folder,
                        format::DType type) {
  fs::create_directories(folder);
  write_file(folder / "config.json", from.config_text());
  std::vector<format::TensorSource> sources;
  for (const auto& shard : from.shards()) {
    for (const auto& tensor : shard.file.header().tensors) {
      auto source = format::file_source(tensor, shard.file, tensor);
      sources.push_back(tensor.dtype == type ? std::move(source)
                                             : format::converted_source(std::move(source), type));
    }
  }
  AtomicFile file(folder / "model.safetensors");
  format::write_safetensors(file.fd(), std::move(sources), {}, "model.safetensors");
  file.commit();
}

std::map<std::string, Digest> digests_of(const fs::path& folder) {
  std::map<std::string, Digest> digests;
  for (const std::string& name : list_folder(folder)) {
    if (!fs::is_regular_file(folder / name)) continue;
    digests[name] = hash_file_flat(open_regular(folder / name).get(), name);
  }
  return digests;
}

}  // namespace organ::test
