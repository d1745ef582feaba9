// SPDX-License-Identifier: Apache-2.0
// Architecture::from_config: what one config.json means. Keys and defaults as transformers 5.23
// reads them; a key that would change a layer's function in a way organ does not implement is
// refused, never ignored.
#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "format/architecture.h"
#include "format/base/error.h"
#include "format/base/json.h"
#include "format/internal/families.h"

namespace organ::format {
namespace {

using internal::BiasRule;
using internal::Family;
using internal::Size;
using internal::When;
using internal::WindowRule;

constexpr std::uint64_t kMostWidth = std::uint64_t{1} << 20;  // hidden, heads, head_dim
constexpr std::uint64_t kMostInner = std::uint64_t{1} << 24;
constexpr std::uint64_t kMostLayers = 100'000;
constexpr std::uint64_t kMostVocabulary = std::uint64_t{1} << 26;
constexpr std::uint64_t kMostPositions = std::uint64_t{1} << 32;

[[noreturn]] void refuse_value(const JsonObject& config, std::string_view key,
                               std::string_view expected) {
  throw Error(ErrorCode::incompatible,
              fmt::format("{}: field {}: {} is not supported, expected {}", config.path(),
                          quote(key), escape_text(config.at(key).dump(), 80), expected));
}

// Keys of any family that change the function; null or the harmless value is accepted.
struct Harmless {
  std::string_view key;
  enum class Value : std::uint8_t { null, no, yes, zero, one } value;
  std::string_view text;
};
constexpr Harmless kHarmless[] = {
    {"quantization_config", Harmless::Value::null, "null"},
    {"attn_logit_softcapping", Harmless::Value::null, "null"},
    {"final_logit_softcapping", Harmless::Value::null, "null"},
    {"clip_qkv", Harmless::Value::null, "null"},
    {"attention_multiplier", Harmless::Value::null, "null"},
    {"add_cross_attention", Harmless::Value::no, "false"},
    {"is_encoder_decoder", Harmless::Value::no, "false"},
    {"scale_attn_by_inverse_layer_idx", Harmless::Value::no, "false"},
    {"use_mrope", Harmless::Value::no, "false"},
    {"alibi", Harmless::Value::no, "false"},
    {"scale_attn_weights", Harmless::Value::yes, "true"},
    {"num_experts", Harmless::Value::zero, "0"},
    {"num_local_experts", Harmless::Value::zero, "0"},
    {"n_routed_experts", Harmless::Value::zero, "0"},
    {"partial_rotary_factor", Harmless::Value::one, "1"},
    {"embedding_multiplier", Harmless::Value::one, "1"},
    {"residual_multiplier", Harmless::Value::one, "1"},
    {"logits_scaling", Harmless::Value::one, "1"},
    {"logit_scale", Harmless::Value::one, "1"},
};

bool is_harmless(const Json& value, Harmless::Value wanted) {
  switch (wanted) {
    case Harmless::Value::null: return value.is_null();
    case Harmless::Value::no: return value.is_null() || value == false;
    case Harmless::Value::yes: return value.is_null() || value == true;
    case Harmless::Value::zero: return value.is_null() || value == 0;
    case Harmless::Value::one: return value.is_null() || value == 1;
  }
  return false;
}

void refuse_unsupported_keys(const JsonObject& config) {
  for (const Harmless& rule : kHarmless) {
    if (config.has(rule.key) && !is_harmless(config.at(rule.key), rule.value)) {
      refuse_value(config, rule.key, rule.text);
    }
  }
}

std::uint64_t size(const JsonObject& config, std::string_view key, std::uint64_t max) {
  const std::uint64_t value = config.unsigned_integer(key, max);
  if (value == 0) config.fail_field(key, "expected at least 1, got 0");
  return value;
}

std::uint64_t size_or(const JsonObject& config, std::string_view key, std::uint64_t max,
                      std::uint64_t absent) {
  return key.empty() || config.is_null(key) ? absent : size(config, key, max);
}

double positive(const JsonObject& config, std::string_view key) {
  const double value = config.real(key);
  if (!std::isfinite(value) || value <= 0) {
    config.fail_field(key, fmt::format("expected a finite number above 0, got {}", value));
  }
  return value;
}

double positive_or(const JsonObject& config, std::string_view key, double absent) {
  return config.is_null(key) ? absent : positive(config, key);
}

// transformers treats null, absent and 0 of these alike: not given.
double given_or(const JsonObject& config, std::string_view key, double absent) {
  if (config.is_null(key) || config.at(key) == 0) return absent;
  return positive(config, key);
}

std::string read_activation(const JsonObject& config, const Family& family) {
  const auto name =
      config.optional_string(family.activation).value_or(std::string(family.default_activation));
  if (name == "silu" || name == "swish") return "silu";
  if (name == "gelu") return "gelu";
  if (name == "gelu_new" || name == "gelu_pytorch_tanh") return "gelu_tanh";
  if (name == "relu") return "relu";
  refuse_value(config, family.activation, "silu, gelu, gelu_new, gelu_pytorch_tanh or relu");
}

std::string read_attention_bias(const JsonObject& config, const Family& family) {
  switch (family.attention_bias) {
    case BiasRule::none: return "none";
    case BiasRule::qkv: return "qkv";
    case BiasRule::qkvo: return "qkvo";
    case BiasRule::by_config: break;
  }
  return config.optional_boolean("attention_bias").value_or(false) ? "qkvo" : "none";
}

void read_heads(const JsonObject& config, const Family& family, LayerSpec& spec) {
  spec.heads = size(config, family.heads, kMostWidth);
  const std::uint64_t kv = family.default_kv_heads != 0 ? family.default_kv_heads : spec.heads;
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

// RoPE stands in rope_parameters (transformers 5) or in rope_theta and rope_scaling (before).
// transformers takes a non-null rope_scaling for rope_parameters; two that differ are refused.
std::optional<JsonObject> rope_object(const JsonObject& config) {
  const bool now = !config.is_null("rope_parameters");
  const bool before = !config.is_null("rope_scaling");
  if (now && before && config.at("rope_parameters") != config.at("rope_scaling")) {
    config.fail_field("rope_scaling", "contradicts 'rope_parameters'");
  }
  if (!now && !before) return std::nullopt;
  return config.object(now ? "rope_parameters" : "rope_scaling");
}

double read_theta(const JsonObject& config, const std::optional<JsonObject>& rope) {
  constexpr double kDefaultTheta = 10'000;
  const double outside = positive_or(config, "rope_theta", kDefaultTheta);
  if (!rope || rope->is_null("rope_theta")) return outside;
  const double inside = positive(*rope, "rope_theta");
  if (!config.is_null("rope_theta") && inside != outside) {
    config.fail_field("rope_theta",
                      fmt::format("{} contradicts {} of 'rope_parameters'", outside, inside));
  }
  return inside;
}

std::string read_rope_type(const JsonObject& rope) {
  const auto now = rope.optional_string("rope_type");
  const auto before = rope.optional_string("type");
  if (now && before && *now != *before) {
    rope.fail_field("rope_type",
                    fmt::format("{} contradicts 'type' {}", quote(*now), quote(*before)));
  }
  return now ? *now : before.value_or("default");
}

void read_original_positions(const JsonObject& config, const JsonObject& rope,
                             std::uint64_t max_positions, RopeScaling& scaling) {
  constexpr std::string_view kKey = "original_max_position_embeddings";
  const std::uint64_t inside = size_or(rope, kKey, kMostPositions, max_positions);
  scaling.original_max_positions = size_or(config, kKey, kMostPositions, inside);
}

void read_llama3(const JsonObject& rope, RopeScaling& scaling) {
  scaling.low_freq_factor = positive(rope, "low_freq_factor");
  scaling.high_freq_factor = positive(rope, "high_freq_factor");
  if (scaling.high_freq_factor <= scaling.low_freq_factor) {
    rope.fail_field("high_freq_factor",
                    fmt::format("expected more than low_freq_factor {}, got {}",
                                scaling.low_freq_factor, scaling.high_freq_factor));
  }
}

void read_yarn(const JsonObject& rope, RopeScaling& scaling) {
  scaling.beta_fast = given_or(rope, "beta_fast", 32);
  scaling.beta_slow = given_or(rope, "beta_slow", 1);
  scaling.truncate = rope.optional_boolean("truncate").value_or(true);
  scaling.attention_factor = positive_or(rope, "attention_factor", 0);
  scaling.mscale = given_or(rope, "mscale", 0);
  scaling.mscale_all_dim = given_or(rope, "mscale_all_dim", 0);
  if (scaling.mscale == 0 || scaling.mscale_all_dim == 0 || scaling.attention_factor != 0) {
    scaling.mscale = scaling.mscale_all_dim = 0;  // only both together mean anything
  }
}

RopeScaling read_scaling(const JsonObject& config, const JsonObject& rope,
                         std::uint64_t max_positions) {
  RopeScaling scaling;
  const std::string type = read_rope_type(rope);
  if (type == "default") return scaling;
  scaling.kind = type;
  if (type != "linear" && type != "dynamic" && type != "llama3" && type != "yarn") {
    refuse_value(rope, rope.is_null("rope_type") ? "type" : "rope_type",
                 "default, linear, dynamic, llama3 or yarn");
  }
  scaling.factor = positive(rope, "factor");
  if (type == "dynamic") scaling.original_max_positions = max_positions;
  if (type == "llama3" || type == "yarn") {
    read_original_positions(config, rope, max_positions, scaling);
  }
  if (type == "llama3") read_llama3(rope, scaling);
  if (type == "yarn") read_yarn(rope, scaling);
  return scaling;
}

void read_rope(const JsonObject& config, std::uint64_t max_positions, LayerSpec& spec) {
  if (spec.head_dim % 2 != 0) {
    fail(ErrorCode::corrupt, "{}: head dimension {} is odd, rotary positions need pairs",
         config.path(), spec.head_dim);
  }
  const auto rope = rope_object(config);
  spec.rope_theta = read_theta(config, rope);
  if (!rope) return;
  for (const auto& [key, value] : rope->value().items()) {
    if (value.is_object()) refuse_value(*rope, key, "one set of parameters for all layers");
  }
  if (!rope->is_null("partial_rotary_factor") && rope->at("partial_rotary_factor") != 1) {
    refuse_value(*rope, "partial_rotary_factor", "1");
  }
  spec.rope_scaling = read_scaling(config, *rope, max_positions);
}

// The window that config.json switches on, 0 for none.
std::uint64_t read_window(const JsonObject& config, const Family& family) {
  constexpr std::string_view kKey = "sliding_window";
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
  for (std::uint64_t i = 0; i < layers; ++i) types.push_back(i >= first ? "sliding" : "full");
  return types;
}

std::vector<std::string> read_attention_types(const JsonObject& config, const Family& family,
                                              std::uint64_t layers, std::uint64_t window) {
  constexpr std::string_view kKey = "layer_types";
  auto types = derived_types(config, family, layers, window);
  if (config.is_null(kKey)) return types;
  const auto given = config.strings(kKey);
  if (given.size() != layers) {
    config.fail_field(kKey,
                      fmt::format("has {} entries, the model has {} layers", given.size(), layers));
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
    if (family.window != WindowRule::from_layer && types[i] != type) {
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
  }
  return false;
}

std::vector<LayerTensor> layer_tensors(const Family& family, const LayerSpec& spec) {
  std::vector<LayerTensor> tensors;
  for (const internal::TensorRule& rule : family.tensors) {
    if (!exists(rule.when, spec)) continue;
    LayerTensor tensor{std::string(rule.name), {}};
    for (const Size size : rule.shape) {
      if (size != Size::none) tensor.shape.push_back(dimension(size, spec));
    }
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

LayerSpec read_spec(const JsonObject& config, const Family& family, std::uint64_t max_positions) {
  LayerSpec spec;
  spec.hidden_size = size(config, family.hidden_size, kMostWidth);
  const bool derived_inner = family.mlp == "plain";  // n_inner null: 4 x hidden
  spec.intermediate_size =
      derived_inner ? size_or(config, family.intermediate_size, kMostInner, 4 * spec.hidden_size)
                    : size(config, family.intermediate_size, kMostInner);
  read_heads(config, family, spec);
  spec.norm = family.norm;
  spec.norm_epsilon = positive_or(config, family.norm_epsilon, family.default_epsilon);
  if (spec.norm_epsilon >= 1) {
    config.fail_field(family.norm_epsilon,
                      fmt::format("expected less than 1, got {}", spec.norm_epsilon));
  }
  spec.activation = read_activation(config, family);
  spec.mlp = family.mlp;
  spec.position = family.position;
  spec.attention_bias = read_attention_bias(config, family);
  spec.mlp_bias = family.mlp_bias_by_config ? config.optional_boolean("mlp_bias").value_or(false)
                                            : family.mlp_bias;
  spec.qk_norm = family.qk_norm;
  if (spec.position == "rope") read_rope(config, max_positions, spec);
  return spec;
}

const Family& read_family(const JsonObject& config) {
  const std::string model_type = config.string("model_type");
  if (const Family* family = internal::family_of(model_type)) return *family;
  std::string known;
  for (const auto name : known_families()) known += (known.empty() ? "" : ", ") + std::string(name);
  refuse_value(config, "model_type", "one of " + known);
}

}  // namespace

Architecture Architecture::from_config(const Json& json, std::string_view subject) {
  const JsonObject config(json, quote(subject));
  const Family& family = read_family(config);
  refuse_unsupported_keys(config);
  Architecture result;
  result.model_type_ = family.layout.model_type;
  result.layout_ = &family.layout;
  result.layer_count_ = size(config, family.layout.layer_count_key, kMostLayers);
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
