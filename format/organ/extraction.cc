// SPDX-License-Identifier: Apache-2.0
#include "format/organ/extraction.h"

#include <charconv>

#include "format/base/fail.h"

namespace organ::format {
namespace {

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

// Special token ids that config.json names; lists (several eos ids) stay with the recipient.
std::vector<std::pair<std::string, std::uint64_t>> special_ids(const nlohmann::json& config) {
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

LayerRange LayerRange::parse(std::string_view text, std::uint64_t layer_count) {
  const std::size_t colon = text.find(':');
  const auto first = parse_number(text.substr(0, colon));
  const auto end = colon == text.npos ? std::nullopt : parse_number(text.substr(colon + 1));
  if (!first || !end || *first >= *end || *end > layer_count) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("layers {}: expected A:B with A < B <= {}", quote(text), layer_count),
                fmt::format("the model has layers 0 to {}; B itself is not taken",
                            layer_count == 0 ? 0 : layer_count - 1));
  }
  return {*first, *end - *first};
}

LayerRange LayerRange::middle_third(std::uint64_t layer_count) {
  constexpr std::uint64_t kCount = 3;
  if (layer_count < kCount) {
    fail(ErrorCode::invalid_argument, "the middle third needs 3 layers, the model has {}",
         layer_count);
  }
  return {std::min(layer_count / 3, layer_count - kCount), kCount};
}

Manifest draft_manifest(const Checkpoint& donor, LayerRange layers, std::string donor_id) {
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
    manifest.extraction.layer_digests.push_back(donor.layer_digest(layers.first + i));
  }
  if (const auto digest = tokenizer_digest(donor.folder())) {
    manifest.tokenizer = TokenizerRecord{*digest, special_ids(donor.config())};
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
