// SPDX-License-Identifier: Apache-2.0
#include "transplant/field_rules.h"

#include <iterator>
#include <string>

#include <nlohmann/json.hpp>

#include "format/base/json.h"

namespace organ::transplant {
namespace {

constexpr std::string_view kInner =
    "one Hugging Face config cannot describe both; choose a recipient whose layers agree";
constexpr std::string_view kOtherStream =
    "it would take a bridge between the two streams and recovery";
constexpr std::string_view kWindow = "choose a position with the same pattern of attention types";
constexpr std::string_view kScale = "choose a position whose layers scale their scores alike";
constexpr std::string_view kRope = "the organ's q and k were trained for its own rotation";

constexpr FieldRule kFieldRules[] = {
    {"hidden_size", Level::C, kOtherStream},
    {"norm_placement", Level::C, kOtherStream},
    {"position", Level::C, kOtherStream},
    {"shared_state", Level::D, "the organ depends on state outside its layers"},
    {"shared_digest", Level::D,
     "the organ's layers were trained with another table of position biases than the recipient's"},
    {"stack", Level::D, "an encoder's layers and a decoder's have another task"},
    {"cross_attention", Level::D, "the recipient's layers lack the second attention"},
    {"norm", Level::B, kInner},
    {"norm_epsilon", Level::B, kInner},
    {"activation", Level::B, kInner},
    {"mlp", Level::B, kInner},
    {"intermediate_size", Level::B, kInner},
    {"num_attention_heads", Level::B, kInner},
    {"num_key_value_heads", Level::B, kInner},
    {"head_dim", Level::B, kInner},
    {"attention_bias", Level::B, kInner},
    {"mlp_bias", Level::B, kInner},
    {"qk_norm", Level::B, kInner},
    {"attention_sinks", Level::B, kInner},
    {"experts", Level::B, kInner},
    {"rope_theta", Level::B, kRope},
    {"rope_scaling", Level::B, kRope},
    {"sliding_window", Level::B, kWindow},
    {"attention_types", Level::B, kWindow},
    {"attention_scale", Level::B, kScale},
    {"attention_scales", Level::B, kScale},
    {"", Level::B, kInner},
};

Json row(const FieldRule& rule) { return {{"level", to_string(rule.level)}, {"hint", rule.hint}}; }

}  // namespace

const FieldRule& field_rule(std::string_view field) {
  for (const FieldRule& rule : kFieldRules) {
    if (rule.field == field) return rule;
  }
  return *std::prev(std::end(kFieldRules));
}

JsonText field_rules() {
  Json fields = Json::object();
  for (const FieldRule& rule : kFieldRules) {
    if (!rule.field.empty()) fields[std::string(rule.field)] = row(rule);
  }
  return json_text({{"fields", fields}, {"other", row(field_rule({}))}});
}

}  // namespace organ::transplant
