// SPDX-License-Identifier: Apache-2.0
// What makes a transformer layer's function: the fields that the architecture signature signs,
// and the tensor names and shapes of each family, as data.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "format/base/digest.h"
#include "format/tensor.h"

namespace organ::format {

// One tensor of a layer, its name relative to the layer.
struct LayerTensor {
  std::string name;  // mlp.up_proj.weight
  Shape shape;
};

// Where a family keeps things in a checkpoint. Plain data; one entry per model_type.
struct FamilyLayout {
  std::string_view model_type;
  std::string_view layer_prefix;    // "model.layers." + index + "."
  std::string_view embedding;       // "model.embed_tokens.weight"
  std::string_view final_norm;      // "model.norm.weight" (LayerNorm: its .bias beside it)
  std::string_view head;            // "lm_head.weight"
  std::string_view layer_count_key; // "num_hidden_layers"
  // GPT-2 hub files lack "transformer."; both spellings are tried.
  std::string_view optional_prefix; // "" or "transformer."
};

const FamilyLayout* find_family(std::string_view model_type);
std::vector<std::string_view> known_families();

// The meaning of one config.json. Immutable value.
class Architecture {
 public:
  // Reads both config generations (rope_theta + rope_scaling, or rope_parameters; torch_dtype or
  // dtype). Throws incompatible for an unknown family or a value that changes the function and is
  // not supported, corrupt for values that contradict each other or are out of range.
  static Architecture from_config(const nlohmann::json& config, std::string_view subject);

  const std::string& model_type() const { return model_type_; }
  const FamilyLayout& layout() const { return *layout_; }
  std::uint64_t layer_count() const { return layer_count_; }
  std::uint64_t hidden_size() const { return hidden_size_; }
  std::uint64_t vocab_size() const { return vocab_size_; }
  std::uint64_t max_positions() const { return max_positions_; }
  bool tied_embeddings() const { return tied_embeddings_; }

  // The tensors of every layer, sorted by name.
  const std::vector<LayerTensor>& tensors() const { return tensors_; }

  // "full" or "sliding" for layer i; families without windows say "full".
  std::string_view attention_type(std::uint64_t layer) const;

  // architecture.layer of organ.json for layers [first, first + count): canonical fields only
  // (DESIGN 4), reals as hex float strings, attention_types holding those layers' types.
  nlohmann::json layer_fields(std::uint64_t first, std::uint64_t count) const;

  // SHA-256 of the canonical text of such fields. "Same signature" (level A) is equality of this.
  static Digest signature(const nlohmann::json& layer_fields);

 private:
  Architecture() = default;
  std::string model_type_;
  const FamilyLayout* layout_ = nullptr;
  std::uint64_t layer_count_ = 0, hidden_size_ = 0, vocab_size_ = 0, max_positions_ = 0;
  bool tied_embeddings_ = false;
  std::vector<LayerTensor> tensors_;
  std::vector<std::string> attention_types_;  // one per layer
  std::shared_ptr<const nlohmann::json> fields_;  // shared: copies of the value are cheap and const
};

}  // namespace organ::format
