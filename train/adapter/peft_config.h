// SPDX-License-Identifier: Apache-2.0
// adapter_config.json as PEFT 0.21 writes it, for LoRA, IA3, prompt tuning and prefix tuning, and
// in the same form for bottleneck adapters, which PEFT has none of (schemas/training.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "format/architecture/architecture.h"
#include "format/architecture/layer_range.h"
#include "train/adapter/module_filter.h"

namespace organ::train {

enum class AdapterKind { lora, ia3, bottleneck, prompt, prefix };
std::string_view to_string(AdapterKind kind);                          // "lora"
std::optional<AdapterKind> parse_adapter_kind(std::string_view name);  // nullopt: no such name

// Where bottleneck adapters stand: after attention and MLP (arXiv 1902.00751) or after the MLP
// alone (arXiv 2005.00247).
enum class BottleneckPlacement { houlsby, pfeiffer };

// What virtual tokens start as: numbers of N(0, 1), rows of the embedding (of ids drawn from the
// whole vocabulary, or of a text's, over again), or zeros.
enum class VirtualStart { random, vocabulary, text, zero };
std::optional<VirtualStart> parse_virtual_start(std::string_view name);

inline constexpr std::uint64_t kMaxAdapterSize = 65'536;  // of a rank or a bottleneck

// One configuration, read once. Fields of other kinds are empty.
struct PeftConfig {
  AdapterKind kind = AdapterKind::lora;

  ModuleFilter targets, excluded, feed_forward;      // lora, ia3
  std::optional<std::vector<std::uint64_t>> layers;  // lora: layers_to_transform, of modules alone
  // lora: layers_pattern, each over a module's name up to the layer's number; the first that
  // matches finds the number. Empty: the number of the layer.
  std::vector<NumberPattern> layer_patterns;
  // lora: target_parameters, whole names or what follows a dot in them
  std::vector<std::string> parameters;
  std::uint64_t rank = 0;  // lora
  double alpha = 0;
  bool rank_stabilised = false;  // alpha / sqrt(rank) instead of alpha / rank
  bool biases = false;           // lora: biases may be trained too
  // lora, ia3: nothing is said, which means PEFT's defaults for the family.
  bool default_targets = false, default_feed_forward = false;
  std::vector<std::pair<NamePattern, std::uint64_t>> rank_pattern;
  std::vector<std::pair<NamePattern, double>> alpha_pattern;

  std::uint64_t bottleneck_size = 0;  // numbers between down and up
  BottleneckPlacement placement = BottleneckPlacement::houlsby;

  // prompt, prefix: how many positions stand before each document, and what sizes of the model the
  // document names
  std::uint64_t virtual_tokens = 0;
  std::optional<std::uint64_t> token_dim, attention_heads, layer_count;
  bool start_at_zero = false;  // prefix

  std::string text;  // the document, indented

  // Whether the module of a layer is among those that layers_to_transform names; a target by its
  // whole name always is.
  bool wants_layer(std::uint64_t layer, std::string_view module) const;
  // Rank and scale of one LoRA module, by its whole name: of the first pattern in the order of the
  // document that matches, else `rank` and `alpha`.
  std::uint64_t rank_of(std::string_view module) const;
  double scale_of(std::string_view module) const;
};

inline constexpr std::uint64_t kPeftConfigLimit = std::uint64_t{1} << 20;  // bytes

// `text` is the document, of kPeftConfigLimit at most. Throws corrupt for values of a wrong type or
// range, incompatible for a kind, or for a key that changes the function and is not supported; the
// key is named.
PeftConfig parse_peft_config(std::string_view text, const std::string& subject);

// Puts PEFT's defaults for the family where the configuration says nothing. Throws incompatible
// for a family without them.
void take_default_targets(PeftConfig& config, const format::Architecture& architecture);

// What a new adapter shall be.
struct AdapterOptions {
  AdapterKind kind = AdapterKind::lora;
  std::vector<std::string> targets = {};  // empty: PEFT's defaults for the family
  // LoRA: parameters that are no module, experts' matrices. With them and without targets, no
  // module is adapted.
  std::vector<std::string> parameters = {};
  std::uint64_t rank = 8;
  double alpha = 16;
  bool rank_stabilised = false;
  std::uint64_t bottleneck_size = 64;
  BottleneckPlacement placement = BottleneckPlacement::houlsby;
  std::uint64_t virtual_tokens = 20;
  // empty: a prompt's vocabulary, a prefix's random; its words are a prompt's (random, vocabulary,
  // text) or a prefix's (random, zero)
  std::optional<VirtualStart> start = {};
  std::string start_text = {};
  format::LayerRange layers = {};  // adapted layers; of prompt and prefix all
  std::string base_model = {};     // base_model_name_or_path
};

// The configuration of a new adapter, with every key PEFT needs. Throws invalid_argument for
// sizes out of range, incompatible for a family without default targets.
PeftConfig make_peft_config(const AdapterOptions& options,
                            const format::Architecture& architecture);

// "model.layers.3" or "transformer.h.3": what PEFT calls a layer of this family.
std::string peft_layer_name(const format::Architecture& architecture, std::uint64_t layer);

}  // namespace organ::train
