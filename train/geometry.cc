// SPDX-License-Identifier: Apache-2.0
#include "train/internal/geometry.h"

#include "format/base/error.h"

namespace organ::train {
namespace {

void need(bool known, const format::Architecture& architecture, std::string_view what) {
  if (known) return;
  throw Error(ErrorCode::incompatible,
              fmt::format("model type {}: {} is not supported in training and evaluation",
                          quote(architecture.model_type()), what),
              "gpt2, llama, mistral, qwen2 and qwen3 models can be trained");
}

kernels::Activation read_activation(const format::Architecture& architecture) {
  const std::string& name = architecture.spec().activation;
  if (name == "silu") return kernels::Activation::silu;
  if (name == "gelu") return kernels::Activation::gelu;
  if (name == "gelu_tanh") return kernels::Activation::gelu_tanh;
  need(name == "relu", architecture, "its activation function");
  return kernels::Activation::relu;
}

}  // namespace

Geometry read_geometry(const format::Architecture& architecture) {
  const format::LayerSpec& spec = architecture.spec();
  const bool rope = spec.position == "rope", gated = spec.mlp == "gated";
  need(spec.norm == "rms" || spec.norm == "layer", architecture, "its norm");
  need(gated || spec.mlp == "plain", architecture, "its MLP");
  need(rope || spec.position == "learned", architecture, "its position scheme");
  Geometry g;
  g.norm = spec.norm == "rms" ? NormKind::rms : NormKind::layer;
  g.mlp = gated ? MlpKind::gated : MlpKind::plain;
  g.activation = read_activation(architecture);
  need(!gated || g.activation == kernels::Activation::silu, architecture,
       "a gated MLP with another function than silu");
  g.hidden_size = static_cast<std::int64_t>(spec.hidden_size);
  g.intermediate_size = static_cast<std::int64_t>(spec.intermediate_size);
  g.heads = static_cast<std::int64_t>(spec.heads);
  g.kv_heads = static_cast<std::int64_t>(spec.kv_heads);
  g.head_size = static_cast<std::int64_t>(spec.head_dim);
  g.norm_epsilon = spec.norm_epsilon;
  g.qk_norm = spec.qk_norm == "rms_per_head";
  if (rope) g.rope = RopeScheme{spec.rope_theta, spec.rope_scaling, g.head_size};
  for (std::uint64_t i = 0; i < architecture.layer_count(); ++i) {
    const bool sliding = architecture.attention_type(i) == "sliding";
    g.windows.push_back(sliding ? static_cast<std::int64_t>(spec.window) : 0);
  }
  return g;
}

}  // namespace organ::train
