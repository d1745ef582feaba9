// SPDX-License-Identifier: Apache-2.0
// The signed form of an architecture (schemas/architecture.md). Reading config.json is in
// architecture_config.cc.
#include "format/architecture/architecture.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "format/architecture/internal/families.h"
#include "format/architecture/internal/opaque_layers.h"
#include "format/base/fail.h"
#include "format/base/json.h"

namespace organ::format {
namespace {

Json scaling_fields(const RopeScaling& scaling) {
  Json fields = {{"rope_type", scaling.kind}};
  const auto number = [&](const char* key, double value) { fields[key] = real_to_hex(value); };
  if (scaling.kind == "none") return fields;
  number("factor", scaling.factor);
  if (scaling.kind == "linear") return fields;
  fields["original_max_position_embeddings"] = scaling.original_max_positions;
  if (scaling.kind == "llama3") {
    number("low_freq_factor", scaling.low_freq_factor);
    number("high_freq_factor", scaling.high_freq_factor);
  } else if (scaling.kind == "yarn") {
    number("beta_fast", scaling.beta_fast);
    number("beta_slow", scaling.beta_slow);
    fields["truncate"] = scaling.truncate;
    number("attention_factor", scaling.attention_factor);
    number("mscale", scaling.mscale);
    number("mscale_all_dim", scaling.mscale_all_dim);
  }
  return fields;
}

void add_expert_fields(const ExpertSpec& experts, Json& fields) {
  fields["experts"] = experts.count;
  if (experts.count == 0) return;
  fields["experts_per_token"] = experts.per_token;
  fields["routing"] = "softmax_of_top_k";
  fields["swiglu_limit"] = real_to_hex(experts.swiglu_limit);
  fields["swiglu_alpha"] = real_to_hex(experts.swiglu_alpha);
}

// Only families that differ have these, so that the signatures of the others stay what they were.
void add_rare_fields(const LayerSpec& spec, Json& fields) {
  if (spec.cross_attention) fields["cross_attention"] = true;
  if (spec.position == "relative") {
    fields["relative_attention_num_buckets"] = spec.relative_buckets;
    fields["relative_attention_max_distance"] = spec.relative_max_distance;
  }
}

double default_scale(const LayerSpec& spec) {
  return 1 / std::sqrt(static_cast<double>(spec.head_dim));
}

// Each layer's own factor where the layers of the run differ in it, else the one of all of them: a
// function has one signature, wherever it was found.
void add_scale_fields(const Architecture& model, std::uint64_t first, std::uint64_t count,
                      Json& fields) {
  const LayerSpec& spec = model.spec();
  if (spec.scale_by_inverse_index && count > 1) {
    Json& scales = fields["attention_scales"] = Json::array();
    for (std::uint64_t i = first; i < first + count; ++i) {
      scales.push_back(real_to_hex(model.attention_scale(i)));
    }
    return;
  }
  const double scale = model.attention_scale(first);
  const bool own =
      spec.scale_by_inverse_index ? scale != default_scale(spec) : spec.attention_scale != 0;
  if (own) fields["attention_scale"] = real_to_hex(scale);
}

Json spec_fields(const LayerSpec& spec) {
  Json fields = {{"hidden_size", spec.hidden_size},
                 {"intermediate_size", spec.intermediate_size},
                 {"num_attention_heads", spec.heads},
                 {"num_key_value_heads", spec.kv_heads},
                 {"head_dim", spec.head_dim},
                 {"norm", spec.norm},
                 {"norm_epsilon", real_to_hex(spec.norm_epsilon)},
                 {"norm_placement", spec.norm_placement},
                 {"activation", spec.activation},
                 {"mlp", spec.mlp},
                 {"attention_bias", spec.attention_bias},
                 {"mlp_bias", spec.mlp_bias},
                 {"qk_norm", spec.qk_norm},
                 {"position", spec.position},
                 {"attention_sinks", spec.attention_sinks},
                 {"shared_state", "none"}};
  add_expert_fields(spec.experts, fields);
  add_rare_fields(spec, fields);
  if (spec.position == "rope") {
    fields["rope_theta"] = real_to_hex(spec.rope_theta);
    fields["rope_scaling"] = scaling_fields(spec.rope_scaling);
  }
  return fields;
}

}  // namespace

std::vector<FamilyLayout> family_stacks(std::string_view model_type) {
  std::vector<FamilyLayout> stacks;
  for (const internal::Family& family : internal::families()) {
    if (family.layout.model_type == model_type) stacks.push_back(family.layout);
  }
  return stacks;
}

std::vector<std::string_view> known_families() {
  std::vector<std::string_view> names;
  for (const internal::Family& family : internal::families()) {
    const std::string_view name = family.layout.model_type;  // stacks of one stand together
    if (names.empty() || names.back() != name) names.push_back(name);
  }
  return names;
}

const Architecture& Architecture::known() const {
  if (!opaque_) return *this;
  std::string names;
  for (const std::string_view name : known_families()) {
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  throw Error(
      ErrorCode::incompatible, opaque_->reason.message(),
      "extract, inspect, sign, publish, verify, check, install and uninstall need no maths; "
      "organ knows that of " +
          names);
}

std::string_view Architecture::stack() const {
  return opaque_ ? std::string_view(opaque_->stack) : layout_->stack;
}

std::string_view Architecture::layer_prefix() const {
  return opaque_ ? std::string_view(opaque_->prefix) : layout_->layer_prefix;
}

const std::vector<LayerTensor>& Architecture::tensors(std::uint64_t layer) const {
  if (!opaque_) return tensors_;
  if (layer >= opaque_->layers.size()) {
    fail(ErrorCode::invalid_argument, "layer {} is asked for, there are {}", layer,
         opaque_->layers.size());
  }
  return opaque_->layers[layer];
}

bool Architecture::is_ready_made(std::string_view name) const {
  if (opaque_) return false;
  const auto names = internal::family_of(model_type_, layout_->stack)->ready_made;
  return std::find(names.begin(), names.end(), name) != names.end();
}

void Architecture::require_layer(std::uint64_t layer) const {
  if (layer < layer_count_) return;
  fail(ErrorCode::invalid_argument, "layer {}: the model has {}", layer,
       counted(layer_count_, "layer"));
}

std::string_view Architecture::attention_type(std::uint64_t layer) const {
  require_layer(layer);
  return known().attention_types_[layer];
}

double Architecture::attention_scale(std::uint64_t layer) const {
  require_layer(layer);
  const LayerSpec& spec = known().spec_;
  const double scale = spec.attention_scale != 0 ? spec.attention_scale : default_scale(spec);
  return spec.scale_by_inverse_index ? scale / static_cast<double>(layer + 1) : scale;
}

JsonText Architecture::layer_fields(std::uint64_t first, std::uint64_t count) const {
  if (count == 0 || first >= layer_count_ || count > layer_count_ - first) {
    fail(ErrorCode::invalid_argument, "{} from layer {}: the model has {}", counted(count, "layer"),
         first, counted(layer_count_, "layer"));
  }
  if (opaque_)
    return json_text_without_reals(internal::opaque_fields(*this, *opaque_, first, count));
  Json fields = spec_fields(spec_);
  add_scale_fields(*this, first, count, fields);
  const auto begin = attention_types_.begin() + static_cast<std::ptrdiff_t>(first);
  const std::vector<std::string> types(begin, begin + static_cast<std::ptrdiff_t>(count));
  // A window that none of these layers looks through is not part of their function.
  const bool sliding = std::find(types.begin(), types.end(), "sliding") != types.end();
  fields["sliding_window"] = sliding ? spec_.window : 0;
  fields["attention_types"] = types;
  if (!layout_->stack.empty()) fields["stack"] = layout_->stack;
  if (!layout_->shared_tensor.empty()) {
    fields["shared_state"] = kSharedTensor;
    if (shared_digest_) fields["shared_digest"] = shared_digest_->to_string();
  }
  Json& tensors = fields["tensors"] = Json::object();
  for (const LayerTensor& tensor : tensors_) tensors[tensor.name] = tensor.shape;
  return json_text_without_reals(fields);
}

Shape Architecture::shared_shape() const {
  if (opaque_ || layout_->shared_tensor.empty()) return {};
  return {spec_.relative_buckets, spec_.heads};
}

JsonText Architecture::comparable_fields(const JsonText& layer_fields) {
  Json fields = json_of(layer_fields);
  if (!fields.contains("maths")) return layer_fields;
  fields["config"] = internal::without_outer_keys(fields.at("config"));
  return json_text(fields);
}

Digest Architecture::signature(const JsonText& layer_fields) { return sha256(layer_fields.text()); }

}  // namespace organ::format
