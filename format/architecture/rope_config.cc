// SPDX-License-Identifier: Apache-2.0
#include "format/architecture/internal/rope_config.h"

#include <optional>

#include <nlohmann/json.hpp>

#include "format/architecture/internal/config_values.h"
#include "format/base/fail.h"

namespace organ::format::internal {
namespace {

// RoPE stands in rope_parameters (transformers 5) or in rope_theta and rope_scaling (before).
// transformers takes a rope_scaling that says anything for rope_parameters; two that differ are
// refused.
std::optional<JsonObject> rope_object(const JsonObject& config) {
  const bool now = !config.is_null("rope_parameters");
  const bool before =
      !config.is_null("rope_scaling") && config.at("rope_scaling") != Json::object();
  if (now && before && config.at("rope_parameters") != config.at("rope_scaling")) {
    config.fail_field("rope_scaling", "contradicts 'rope_parameters'");
  }
  if (!now && !before) return std::nullopt;
  return config.object(now ? "rope_parameters" : "rope_scaling");
}

double read_theta(const JsonObject& config, const std::optional<JsonObject>& rope,
                  double default_theta) {
  const double outside = positive_or(config, "rope_theta", default_theta);
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
  // null is false, as in Python; only an absent key is true.
  scaling.truncate = rope.optional_boolean("truncate").value_or(!rope.has("truncate"));
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
  const bool by_lengths = type == "yarn" && rope.has("factor") && rope.is_null("factor");
  if (!by_lengths) scaling.factor = positive(rope, "factor");
  if (type == "dynamic") scaling.original_max_positions = max_positions;
  if (type == "llama3" || type == "yarn") {
    read_original_positions(config, rope, max_positions, scaling);
  }
  if (by_lengths) {  // a factor of null, not one that is absent
    scaling.factor =
        static_cast<double>(max_positions) / static_cast<double>(scaling.original_max_positions);
  }
  if (type == "llama3") read_llama3(rope, scaling);
  if (type == "yarn") read_yarn(rope, scaling);
  return scaling;
}

// What transformers assumes for GPT-OSS when the config says nothing.
RopeScaling default_yarn() {
  RopeScaling scaling;
  scaling.kind = "yarn";
  scaling.factor = 32;
  scaling.original_max_positions = 4096;
  scaling.truncate = false;
  return scaling;
}

}  // namespace

void read_rope(const JsonObject& config, const Family& family, std::uint64_t max_positions,
               LayerSpec& spec) {
  if (spec.head_dim % 2 != 0) {
    fail(ErrorCode::corrupt, "{}: head dimension {} is odd, rotary positions need pairs",
         config.path(), spec.head_dim);
  }
  const auto rope = rope_object(config);
  spec.rope_theta = read_theta(config, rope, family.default_theta);
  if (!rope) {
    if (family.yarn_by_default) spec.rope_scaling = default_yarn();
    return;
  }
  for (const auto& [key, value] : rope->value().items()) {
    if (value.is_object()) refuse_value(*rope, key, "one set of parameters for all layers");
  }
  if (!rope->is_null("partial_rotary_factor") && rope->at("partial_rotary_factor") != 1) {
    refuse_value(*rope, "partial_rotary_factor", "1");
  }
  spec.rope_scaling = read_scaling(config, *rope, max_positions);
}

}  // namespace organ::format::internal
