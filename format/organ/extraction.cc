// SPDX-License-Identifier: Apache-2.0
#include "format/organ/extraction.h"

#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "format/checkpoint/checkpoint_config.h"

namespace organ::format {
namespace {

// Special token ids that config.json names; lists (several eos ids) stay with the recipient.
std::vector<std::pair<std::string, std::uint64_t>> special_ids(const Json& config) {
  std::vector<std::pair<std::string, std::uint64_t>> ids;
  for (const char* name : {"bos", "eos", "pad", "unk"}) {
    const auto found = config.find(std::string(name) + "_token_id");
    if (found != config.end() && found->is_number_unsigned()) {
      ids.emplace_back(name, found->get<std::uint64_t>());
    }
  }
  return ids;
}

TensorSource renamed_source(const Checkpoint& donor, const Checkpoint::Location& location,
                            std::string name) {
  TensorInfo info = *location.tensor;
  info.name = std::move(name);
  return file_source(std::move(info), donor.shards()[location.shard].file, *location.tensor);
}

}  // namespace

std::uint64_t layers_size(const Checkpoint& donor, LayerRange layers) {
  std::uint64_t bytes = 0;
  for (std::uint64_t i = 0; i < layers.count; ++i) bytes += donor.layer_size(layers.first + i);
  return bytes;
}

Manifest draft_manifest(const Checkpoint& donor, LayerRange layers, std::string donor_id,
                        const Work& work) {
  const Architecture& architecture = donor.architecture();
  Manifest manifest;
  manifest.name = "organ";
  manifest.version = "0.0.0";
  manifest.created = creation_time();
  manifest.architecture.model_type = architecture.model_type();
  manifest.architecture.layer = architecture.layer_fields(layers.first, layers.count);
  manifest.architecture.signature = Architecture::signature(manifest.architecture.layer);
  manifest.extraction.donor_id = std::move(donor_id);
  manifest.extraction.config_digest = donor.config_digest();
  manifest.extraction.first_layer = layers.first;
  manifest.extraction.layer_count = layers.count;
  manifest.extraction.donor_layer_count = architecture.layer_count();
  for (std::uint64_t i = 0; i < layers.count; ++i) {
    manifest.extraction.layer_digests.push_back(donor.layer_digest(layers.first + i, work));
  }
  if (const auto digest = tokenizer_digest(donor.folder())) {
    manifest.tokenizer = TokenizerRecord{*digest, special_ids(CheckpointConfig::of(donor))};
  }
  return manifest;
}

std::vector<TensorSource> layer_sources(const Checkpoint& donor, std::uint64_t layer) {
  std::vector<TensorSource> sources;
  for (const auto& [name, location] : donor.layer(layer)) {
    sources.push_back(renamed_source(donor, location, name));
  }
  return sources;
}

std::vector<TensorSource> shared_sources(const Checkpoint& donor) {
  std::vector<TensorSource> sources;
  if (const auto state = donor.shared_state()) {
    sources.push_back(renamed_source(donor, *state, std::string(kSharedTensor)));
  }
  return sources;
}

}  // namespace organ::format
