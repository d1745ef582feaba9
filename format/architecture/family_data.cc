// SPDX-License-Identifier: Apache-2.0
#include "format/architecture/family_data.h"

#include <string>

#include <nlohmann/json.hpp>

#include "format/architecture/internal/config_keys.h"
#include "format/architecture/internal/config_values.h"
#include "format/architecture/internal/families.h"
#include "format/base/json.h"

namespace organ::format {
namespace {

using internal::Family;
using internal::Harmless;

// In the order of the enumerations.
constexpr std::string_view kSizes[] = {
    "none",  "hidden",  "inner",   "queries",       "keys",         "fused", "head",
    "heads", "experts", "gate_up", "hidden_blocks", "inner_blocks", "block"};
constexpr std::string_view kWhens[] = {"always", "qkv_bias", "output_bias", "mlp_bias",
                                       "gated",  "plain",    "mxfp4",       "not_mxfp4"};
constexpr std::string_view kBiases[] = {"none", "qkv", "qkvo", "by_config"};
constexpr std::string_view kWindows[] = {"none", "every_layer", "from_layer", "alternating"};
constexpr std::string_view kValues[] = {"null", "no", "yes", "yes_alone", "zero", "one", "empty"};

template <typename Names, typename Value>
Json name_of(const Names& names, Value value) {
  return names[static_cast<std::size_t>(value)];
}

Json tensors_of(const Family& family) {
  Json tensors = Json::array();
  for (const internal::TensorRule& rule : family.tensors) {
    Json shape = Json::array();
    for (const internal::Size size : rule.shape) {
      if (size != internal::Size::none) shape.push_back(name_of(kSizes, size));
    }
    tensors.push_back(Json::array({rule.name, shape, name_of(kWhens, rule.when)}));
  }
  return tensors;
}

Json keys_of(const Family& family) {
  return {{"hidden_size", family.hidden_size},
          {"intermediate_size", family.intermediate_size},
          {"heads", family.heads},
          {"kv_heads", family.kv_heads},
          {"head_dim", family.head_dim},
          {"max_positions", family.max_positions},
          {"norm_epsilon", family.norm_epsilon},
          {"activation", family.activation},
          {"layer_count", family.layout.layer_count_key},
          {"other_layer_count", family.other_layer_count}};
}

Json defaults_of(const Family& family) {
  return {{"kv_heads", family.default_kv_heads},
          {"head_dim", family.default_head_dim},
          {"max_positions", family.default_max_positions},
          {"window", family.default_window},
          {"layer_count", family.default_layer_count},
          {"epsilon", family.default_epsilon},
          {"theta", family.default_theta},
          {"yarn", family.yarn_by_default},
          {"activation", family.default_activation},
          {"attention_bias", family.default_attention_bias}};
}

Json to_json(const Family& family) {
  Json aliases = Json::array(), handled = Json::array();
  for (const internal::Alias& alias : family.aliases) {
    aliases.push_back(Json::array({alias.name, alias.key}));
  }
  for (const std::string_view key : family.handled) handled.push_back(key);
  return {{"model_type", family.layout.model_type},
          {"stack", family.layout.stack},
          {"shared_state", family.layout.shared_tensor.empty() ? "none" : kSharedTensor},
          {"keys", keys_of(family)},
          {"defaults", defaults_of(family)},
          {"norm", family.norm},
          {"norm_placement", family.norm_placement},
          {"mlp", family.mlp},
          {"position", family.position},
          {"qk_norm", family.qk_norm},
          {"sight", family.sight},
          {"attention_bias", name_of(kBiases, family.attention_bias)},
          {"derived_inner", family.derived_inner},
          {"mlp_bias_by_config", family.mlp_bias_by_config},
          {"mlp_bias", family.mlp_bias},
          {"sinks", family.sinks},
          {"cross_attention", family.cross_attention},
          {"attention_scale", family.attention_scale},
          {"scale_by_config", family.scale_by_config},
          {"window", name_of(kWindows, family.window)},
          {"handled", handled},
          {"aliases", aliases},
          {"tensors", tensors_of(family)}};
}

}  // namespace

JsonText family_data() {
  Json families = Json::array(), harmless = Json::array();
  for (const Family& family : internal::families()) families.push_back(to_json(family));
  for (const Harmless& rule : internal::harmless_keys()) {
    harmless.push_back(Json::array({rule.key, name_of(kValues, rule.value), rule.text}));
  }
  return json_text({{"families", families},
                    {"harmless", harmless},
                    {"limits",
                     {{"width", internal::kMostWidth},
                      {"inner", internal::kMostInner},
                      {"layers", internal::kMostLayers},
                      {"vocabulary", internal::kMostVocabulary},
                      {"positions", internal::kMostPositions}}}});
}

}  // namespace organ::format
