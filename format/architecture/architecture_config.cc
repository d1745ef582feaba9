// SPDX-License-Identifier: Apache-2.0
// ArchitectureReader::from_config: what one config.json means. Keys and defaults as
// transformers 5.23 reads them; config_keys.cc says which keys are read at all.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "format/architecture/architecture.h"
#include "format/architecture/architecture_reader.h"
#include "format/architecture/internal/config_keys.h"
#include "format/architecture/internal/config_values.h"
#include "format/architecture/internal/families.h"
#include "format/architecture/internal/rope_config.h"
#include "format/base/fail.h"
#include "format/base/json.h"

namespace organ::format {
namespace {

using internal::BiasRule;
using internal::Family;
using internal::kMostInner;
using internal::kMostLayers;
using internal::kMostPositions;
using internal::kMostVocabulary;
using internal::kMostWidth;
using internal::positive_or;
using internal::refuse_value;
using internal::Size;
using internal::size;
using internal::size_or;
using internal::When;
using internal::WindowRule;

std::string read_activation(const JsonObject& config, const Family& family) {
  std::string_view key = family.activation;
  auto name = config.optional_string(key).value_or(std::string(family.default_activation));
  // What T5's configuration makes of feed_forward_proj, unless the document says it itself.
  if (family.mlp.empty() && !config.is_null("dense_act_fn")) {
    key = "dense_act_fn";
    name = config.string(key);
  }
  if (family.mlp == "experts") {
    if (name == "silu") return "clamped_swiglu";
    refuse_value(config, key, "silu");
  }
  if (family.mlp.empty()) {  // T5 says both in one word: "relu", "gated-gelu"
    if (name == "gated-gelu") return "gelu_tanh";
    if (name.starts_with("gated-")) name.erase(0, 6);
  }
  if (name == "silu" || name == "swish") return "silu";
  if (name == "gelu") return "gelu";
  if (name == "gelu_new" || name == "gelu_pytorch_tanh") return "gelu_tanh";
  if (name == "relu") return "relu";
  refuse_value(config, key, "silu, gelu, gelu_new, gelu_pytorch_tanh or relu");
}

std::string read_attention_bias(const JsonObject& config, const Family& family) {
  switch (family.attention_bias) {
    case BiasRule::none: return "none";
    case BiasRule::qkv: return "qkv";
    case BiasRule::qkvo: return "qkvo";
    case BiasRule::by_config: break;
  }
  return config.optional_boolean("attention_bias").value_or(family.default_attention_bias) ? "qkvo"
                                                                                           : "none";
}

void read_heads(const JsonObject& config, const Family& family, LayerSpec& spec) {
  spec.heads = size(config, family.heads, kMostWidth);
  // null says "as many as heads", an absent key says "the default".
  const bool by_heads = family.default_kv_heads == 0 || config.has(family.kv_heads);
  const std::uint64_t kv = by_heads ? spec.heads : family.default_kv_heads;
  spec.kv_heads = size_or(config, family.kv_heads, kMostWidth, kv);
  if (spec.heads % spec.kv_heads != 0) {
    config.fail_field(family.heads, fmt::format("{} heads do not divide into {} key-value heads",
                                                spec.heads, spec.kv_heads));
  }
  spec.head_dim = size_or(config, family.head_dim, kMostWidth, family.default_head_dim);
  if (spec.head_dim == 0) {
    if (spec.hidden_size % spec.heads != 0) {
      config.fail_field(family.hidden_size, fmt::format("{} does not divide into {} heads",
                                                        spec.hidden_size, spec.heads));
    }
    spec.head_dim = spec.hidden_size / spec.heads;
  }
  if (spec.heads * spec.head_dim > kMostInner) {  // both are at most 2^20
    config.fail_field(family.heads, fmt::format("{} heads of {} are wider than {}", spec.heads,
                                                spec.head_dim, kMostInner));
  }
}

// Whether the experts are stored as MXFP4, from quantization_config.
bool read_mxfp4(const JsonObject& config) {
  constexpr std::string_view kKey = "quantization_config";
  if (config.is_null(kKey)) return false;
  const JsonObject quantization = config.object(kKey);
  if (quantization.optional_string("quant_method") != "mxfp4") refuse_value(config, kKey, "mxfp4");
  for (const auto& [key, value] : quantization.value().items()) {
    if (key == "quant_method" || key == "modules_to_not_convert" || value.is_null()) continue;
    if (key != "dequantize" || value != false) refuse_value(quantization, key, "null");
  }
  if (quantization.is_null("modules_to_not_convert")) return true;
  for (const std::string& module : quantization.strings("modules_to_not_convert")) {
    // Some layers' experts in blocks and others not: no one list of tensors describes that.
    if (module.find("experts") != module.npos || module.ends_with(".mlp")) {
      refuse_value(quantization, "modules_to_not_convert", "all experts converted");
    }
  }
  return true;
}

ExpertSpec read_experts(const JsonObject& config, const LayerSpec& spec) {
  constexpr std::uint64_t kDefaultCount = 128, kDefaultChosen = 4, kMost = 1 << 16;
  constexpr std::uint64_t kBlock = 32;
  constexpr std::string_view kChosen = "num_experts_per_tok", kAlias = "experts_per_token";
  ExpertSpec experts;
  experts.count = size_or(config, "num_local_experts", kMost, kDefaultCount);
  experts.per_token = size_or(config, kChosen, kMost, kDefaultChosen);
  if (size_or(config, kAlias, kMost, experts.per_token) != experts.per_token) {
    config.fail_field(kAlias, fmt::format("contradicts {} of {}", experts.per_token, kChosen));
  }
  if (experts.per_token > experts.count) {
    config.fail_field(kChosen, fmt::format("{} of {} experts", experts.per_token, experts.count));
  }
  experts.swiglu_limit = positive_or(config, "swiglu_limit", 7.0);
  experts.swiglu_alpha = positive_or(config, "swiglu_alpha", 1.702);
  experts.mxfp4 = read_mxfp4(config);
  if (experts.mxfp4 && (spec.hidden_size % kBlock != 0 || spec.intermediate_size % kBlock != 0)) {
    config.fail_field("quantization_config",
                      fmt::format("sizes {} and {} are not made of blocks of 32", spec.hidden_size,
                                  spec.intermediate_size));
  }
  return experts;
}

void read_relative_positions(const JsonObject& config, LayerSpec& spec) {
  constexpr std::uint64_t kDefaultBuckets = 32, kDefaultDistance = 128;
  constexpr std::string_view kBuckets = "relative_attention_num_buckets";
  spec.relative_buckets = size_or(config, kBuckets, kMostWidth, kDefaultBuckets);
  spec.relative_max_distance =
      size_or(config, "relative_attention_max_distance", kMostPositions, kDefaultDistance);
  // Half of them are exact (a quarter in each direction); the rest spread to the distance.
  if (spec.relative_buckets < 4 || spec.relative_max_distance <= spec.relative_buckets / 2) {
    config.fail_field(kBuckets, fmt::format("{} buckets do not spread over {} positions",
                                            spec.relative_buckets, spec.relative_max_distance));
  }
}

// The window that config.json switches on, 0 for none.
std::uint64_t read_window(const JsonObject& config, const Family& family) {
  constexpr std::string_view kKey = "sliding_window";
  if (family.window == WindowRule::alternating) {
    return config.has(kKey) ? size(config, kKey, kMostPositions) : family.default_window;
  }
  const bool on = family.window == WindowRule::every_layer ||
                  (family.window == WindowRule::from_layer &&
                   config.optional_boolean("use_sliding_window").value_or(false));
  if (!on) return 0;
  // null says "no window", an absent key says "the default".
  if (!config.has(kKey)) return family.default_window;
  return size_or(config, kKey, kMostPositions, 0);
}

std::vector<std::string> derived_types(const JsonObject& config, const Family& family,
                                       std::uint64_t layers, std::uint64_t window) {
  constexpr std::uint64_t kDefaultFirstSliding = 28;  // max_window_layers of Qwen2 and Qwen3
  std::uint64_t first = layers;
  if (window != 0 && family.window == WindowRule::every_layer) first = 0;
  if (window != 0 && family.window == WindowRule::from_layer) {
    first = config.optional_unsigned("max_window_layers").value_or(kDefaultFirstSliding);
  }
  std::vector<std::string> types;
  for (std::uint64_t i = 0; i < layers; ++i) {
    const bool sliding = family.window == WindowRule::alternating ? i % 2 == 0 : i >= first;
    types.emplace_back(sliding ? "sliding" : family.sight);
  }
  return types;
}

std::vector<std::string> read_attention_types(const JsonObject& config, const Family& family,
                                              std::uint64_t layers, std::uint64_t window) {
  constexpr std::string_view kKey = "layer_types";
  auto types = derived_types(config, family, layers, window);
  if (config.is_null(kKey)) return types;
  const auto given = config.strings(kKey);
  if (given.size() != layers) {
    config.fail_field(kKey, fmt::format("has {}, the model has {}", counted(given.size(), "entry"),
                                        counted(layers, "layer")));
  }
  for (std::uint64_t i = 0; i < layers; ++i) {
    const bool sliding = given[i] == "sliding_attention";
    if (!sliding && given[i] != "full_attention") {
      refuse_value(config, kKey, "full_attention or sliding_attention");
    }
    if (sliding && window == 0) {
      config.fail_field(kKey, fmt::format("layer {} is sliding but no window is switched on", i));
    }
    const std::string_view type = sliding ? "sliding" : "full";
    // Families that do not read layer_types would run as `types` says.
    const bool listed =
        family.window == WindowRule::from_layer || family.window == WindowRule::alternating;
    if (!listed && types[i] != type) {
      refuse_value(config, kKey, fmt::format("every layer {} in this family", types[i]));
    }
    types[i] = type;
  }
  return types;
}

std::uint64_t dimension(Size size, const LayerSpec& spec) {
  switch (size) {
    case Size::hidden: return spec.hidden_size;
    case Size::inner: return spec.intermediate_size;
    case Size::queries: return spec.heads * spec.head_dim;
    case Size::keys: return spec.kv_heads * spec.head_dim;
    case Size::fused: return (spec.heads + 2 * spec.kv_heads) * spec.head_dim;
    case Size::head: return spec.head_dim;
    case Size::heads: return spec.heads;
    case Size::experts: return spec.experts.count;
    case Size::gate_up: return 2 * spec.intermediate_size;
    case Size::hidden_blocks: return spec.hidden_size / 32;
    case Size::inner_blocks: return spec.intermediate_size / 32;
    case Size::block: return 16;
    case Size::none: break;
  }
  return 0;
}

bool exists(When when, const LayerSpec& spec) {
  switch (when) {
    case When::always: return true;
    case When::qkv_bias: return spec.attention_bias != "none";
    case When::output_bias: return spec.attention_bias == "qkvo";
    case When::mlp_bias: return spec.mlp_bias;
    case When::gated: return spec.mlp == "gated";
    case When::plain: return spec.mlp == "plain";
    case When::mxfp4: return spec.experts.mxfp4;
    case When::not_mxfp4: return !spec.experts.mxfp4;
  }
  return false;
}

std::vector<LayerTensor> layer_tensors(const Family& family, const LayerSpec& spec) {
  std::vector<LayerTensor> tensors;
  for (const internal::TensorRule& rule : family.tensors) {
    if (!exists(rule.when, spec)) continue;
    LayerTensor tensor{std::string(rule.name), {}};
    if (rule.when == When::mxfp4) tensor.dtype = DType::U8;
    for (const Size size : rule.shape) {
      if (size != Size::none) tensor.shape.push_back(dimension(size, spec));
    }
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

// The factor of the scores, of families that let config.json say it.
void read_attention_scale(const JsonObject& config, const Family& family, LayerSpec& spec) {
  spec.attention_scale = family.attention_scale;
  if (!family.scale_by_config) return;
  // Heads of one number are scaled by 1 either way.
  if (!config.optional_boolean("scale_attn_weights").value_or(true) && spec.head_dim != 1) {
    spec.attention_scale = 1;
  }
  spec.scale_by_inverse_index =
      config.optional_boolean("scale_attn_by_inverse_layer_idx").value_or(false);
}

LayerSpec read_spec(const JsonObject& config, const Family& family, std::uint64_t max_positions) {
  LayerSpec spec;
  spec.hidden_size = size(config, family.hidden_size, kMostWidth);
  spec.intermediate_size =
      family.derived_inner
          ? size_or(config, family.intermediate_size, kMostInner, 4 * spec.hidden_size)
          : size(config, family.intermediate_size, kMostInner);
  read_heads(config, family, spec);
  spec.norm = family.norm;
  spec.norm_placement = family.norm_placement;
  spec.norm_epsilon = positive_or(config, family.norm_epsilon, family.default_epsilon);
  if (spec.norm_epsilon >= 1) {
    config.fail_field(family.norm_epsilon,
                      fmt::format("expected less than 1, got {}", spec.norm_epsilon));
  }
  spec.activation = read_activation(config, family);
  spec.mlp = family.mlp;
  if (family.mlp.empty()) {
    const auto projection = config.optional_string(family.activation);
    const bool gated = projection && projection->starts_with("gated-");
    spec.mlp = config.optional_boolean("is_gated_act").value_or(gated) ? "gated" : "plain";
  }
  spec.position = family.position;
  spec.attention_bias = read_attention_bias(config, family);
  spec.mlp_bias = family.mlp_bias_by_config ? config.optional_boolean("mlp_bias").value_or(false)
                                            : family.mlp_bias;
  spec.qk_norm = family.qk_norm;
  read_attention_scale(config, family, spec);
  spec.attention_sinks = family.sinks;
  spec.cross_attention = family.cross_attention;
  if (spec.position == "rope") internal::read_rope(config, family, max_positions, spec);
  if (spec.position == "relative") read_relative_positions(config, spec);
  if (spec.mlp == "experts") spec.experts = read_experts(config, spec);
  return spec;
}

// `config` is `own` with its aliases resolved.
std::uint64_t read_layer_count(const JsonObject& own, const JsonObject& config,
                               const Family& family) {
  const std::string_view key = family.layout.layer_count_key;
  if (family.other_layer_count.empty() || !config.is_null(key)) {
    return size(config, key, kMostLayers);
  }
  return size_or(own, family.other_layer_count, kMostLayers, family.default_layer_count);
}

const Family& read_family(const JsonObject& config, std::string_view stack) {
  const std::string model_type = config.string("model_type");
  if (const Family* family = internal::family_of(model_type, stack)) return *family;
  if (const Family* family = internal::family_of(model_type)) {
    throw Error(
        ErrorCode::incompatible,
        fmt::format("{}: a {} model has no stack {}", config.path(), model_type, quote(stack)),
        family->layout.stack.empty() ? "it has one stack, which needs no name"
                                     : "its stacks are encoder and decoder");
  }
  std::string known;
  for (const auto name : known_families()) known += (known.empty() ? "" : ", ") + std::string(name);
  refuse_value(config, "model_type", "one of " + known);
}

}  // namespace

Architecture ArchitectureReader::from_config(const Json& json, std::string_view subject,
                                             std::string_view stack) {
  const Family& family = read_family(JsonObject(json, quote(subject)), stack);
  const Json resolved = internal::resolve_aliases(json, family);
  const JsonObject config(resolved, quote(subject));
  internal::refuse_unsupported_keys(config, family);
  Architecture result;
  result.unknown_keys_ = internal::unknown_keys(json, family);
  result.model_type_ = family.layout.model_type;
  result.layout_ = &family.layout;
  result.layer_count_ = read_layer_count(JsonObject(json, quote(subject)), config, family);
  result.vocab_size_ = size(config, "vocab_size", kMostVocabulary);
  result.max_positions_ =
      size_or(config, family.max_positions, kMostPositions, family.default_max_positions);
  result.tied_embeddings_ =
      config.optional_boolean("tie_word_embeddings").value_or(family.default_tied);
  result.spec_ = read_spec(config, family, result.max_positions_);
  result.hidden_size_ = result.spec_.hidden_size;
  result.spec_.window = read_window(config, family);
  result.attention_types_ =
      read_attention_types(config, family, result.layer_count_, result.spec_.window);
  const auto& types = result.attention_types_;
  if (std::find(types.begin(), types.end(), "sliding") == types.end()) result.spec_.window = 0;
  result.tensors_ = layer_tensors(family, result.spec_);
  return result;
}

}  // namespace organ::format
