// SPDX-License-Identifier: Apache-2.0
#include "train/weights/geometry.h"

#include "format/base/fail.h"

namespace organ::train {
namespace {

void need(bool known, const format::Architecture& architecture, std::string_view what) {
  if (known) return;
  throw Error(ErrorCode::incompatible,
              fmt::format("model type {}: {} is not supported in training and evaluation",
                          quote(architecture.model_type()), what),
              "bert, gpt2, gpt_oss, llama, mistral, qwen2, qwen3 and t5 models can be trained");
}

NormKind read_norm(const format::Architecture& architecture) {
  const std::string& name = architecture.spec().norm;
  need(name == "rms" || name == "layer", architecture, "its norm");
  if (name == "layer") return NormKind::layer;
  return architecture.model_type() == "gpt_oss" ? NormKind::rms_late : NormKind::rms;
}

MlpKind read_mlp(const format::Architecture& architecture) {
  const std::string& name = architecture.spec().mlp;
  if (name == "gated") return MlpKind::gated;
  if (name == "plain") return MlpKind::plain;
  need(name == "experts", architecture, "its MLP");
  return MlpKind::experts;
}

kernels::Activation read_activation(const format::Architecture& architecture) {
  const std::string& name = architecture.spec().activation;
  if (name == "silu") return kernels::Activation::silu;
  if (name == "gelu") return kernels::Activation::gelu;
  if (name == "gelu_tanh") return kernels::Activation::gelu_tanh;
  need(name == "relu", architecture, "its activation function");
  return kernels::Activation::relu;
}

void read_positions(const format::Architecture& architecture, Geometry& g) {
  const format::LayerSpec& spec = architecture.spec();
  if (spec.position == "rope") {
    g.rope = RopeScheme{spec.rope_theta, spec.rope_scaling, g.head_size};
  } else if (spec.position == "relative") {
    g.relative = RelativeScheme{static_cast<std::int64_t>(spec.relative_buckets),
                                static_cast<std::int64_t>(spec.relative_max_distance),
                                g.sight == Sight::bidirectional};
  } else {
    need(spec.position == "learned", architecture, "its position scheme");
    g.learned_positions = true;
  }
}

StreamPart read_part(const format::Architecture& architecture) {
  if (architecture.stack().empty()) return StreamPart::whole;
  return architecture.spec().cross_attention ? StreamPart::target : StreamPart::source;
}

}  // namespace

Geometry read_geometry(const format::Architecture& architecture) {
  const format::LayerSpec& spec = architecture.spec();
  Geometry g;
  g.norm = read_norm(architecture);
  g.placement = spec.norm_placement == "post" ? NormPlacement::post : NormPlacement::pre;
  g.sight =
      architecture.attention_type(0) == "bidirectional" ? Sight::bidirectional : Sight::causal;
  g.mlp = read_mlp(architecture);
  if (g.mlp != MlpKind::experts) g.activation = read_activation(architecture);
  g.sinks = spec.attention_sinks;
  g.experts = static_cast<std::int64_t>(spec.experts.count);
  g.experts_per_token = static_cast<std::int64_t>(spec.experts.per_token);
  g.swiglu = {spec.experts.swiglu_limit, spec.experts.swiglu_alpha};
  g.hidden_size = static_cast<std::int64_t>(spec.hidden_size);
  g.intermediate_size = static_cast<std::int64_t>(spec.intermediate_size);
  g.heads = static_cast<std::int64_t>(spec.heads);
  g.kv_heads = static_cast<std::int64_t>(spec.kv_heads);
  g.head_size = static_cast<std::int64_t>(spec.head_dim);
  g.norm_epsilon = spec.norm_epsilon;
  g.qk_norm = spec.qk_norm == "rms_per_head";
  g.part = read_part(architecture);
  read_positions(architecture, g);
  for (std::uint64_t i = 0; i < architecture.layer_count(); ++i) {
    const std::string_view type = architecture.attention_type(i);
    const bool sliding = type == "sliding";
    need(sliding || type == "full" || type == "bidirectional", architecture,
         fmt::format("{} attention", type));
    g.attention.push_back({.window = sliding ? static_cast<std::int64_t>(spec.window) : 0,
                           .scale = architecture.attention_scale(i)});
  }
  return g;
}

}  // namespace organ::train
