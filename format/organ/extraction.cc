// SPDX-License-Identifier: Apache-2.0
#include "format/organ/extraction.h"

#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/checkpoint/checkpoint_config.h"
#include "format/organ/shared_values.h"

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
  if (const auto values = shared_values(donor)) record_shared_values(*values, manifest);
  if (const auto digest = donor.own_tokenizer_digest()) {
    manifest.tokenizer = TokenizerRecord{*digest, special_ids(CheckpointConfig::of(donor))};
  }
  return manifest;
}

void require_manifest_fits(const Checkpoint& donor, LayerRange layers, Manifest manifest) {
  constexpr std::uint64_t kTexts = std::uint64_t{64} << 10;  // figures, special tokens, the card
  check_texts(manifest);
  manifest.architecture.layer = donor.architecture().layer_fields(layers.first, layers.count);
  manifest.extraction.layer_digests.resize(layers.count);
  for (std::uint64_t i = 0; i < layers.count; ++i) {
    FileEntry file;
    file.path = Manifest::layer_file_name(i);
    for (const auto& [name, location] : donor.layer(layers.first + i)) {
      file.size += location.tensor->size;
      file.tensors.push_back(*location.tensor);
      file.tensors.back().name = name;
    }
    file.tensor_digests.resize(file.tensors.size());
    file.chunks.resize(file.size / kChunkSize + 1);
    manifest.files.push_back(std::move(file));
  }
  const std::uint64_t size = manifest.to_text().size() + kTexts;
  if (size <= kManifestLimit) return;
  throw Error(ErrorCode::incompatible,
              fmt::format("{}: organ.json of {} layers would have {} bytes, at most {} are read",
                          quote(donor.folder().string()), layers.count, size, kManifestLimit),
              fmt::format("about {} of these layers fit into one organ",
                          layers.count * kManifestLimit / size));
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
