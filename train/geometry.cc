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
              "llama, mistral, qwen2 and qwen3 models with rotary positions can be trained");
}

}  // namespace

Geometry read_geometry(const format::Architecture& architecture) {
  const format::LayerSpec& spec = architecture.spec();
  need(spec.norm == "rms", architecture, "its norm");
  need(spec.mlp == "gated" && spec.activation == "silu", architecture, "its MLP");
  need(spec.position == "rope", architecture, "its position scheme");
  need(spec.head_dim % 2 == 0, architecture, "an odd head size");
  Geometry g;
  g.hidden_size = static_cast<std::int64_t>(spec.hidden_size);
  g.intermediate_size = static_cast<std::int64_t>(spec.intermediate_size);
  g.heads = static_cast<std::int64_t>(spec.heads);
  g.kv_heads = static_cast<std::int64_t>(spec.kv_heads);
  g.head_size = static_cast<std::int64_t>(spec.head_dim);
  g.norm_epsilon = spec.norm_epsilon;
  g.qk_norm = spec.qk_norm == "rms_per_head";
  g.rope = RopeScheme{spec.rope_theta, spec.rope_scaling, g.head_size};
  for (std::uint64_t i = 0; i < architecture.layer_count(); ++i) {
    const bool sliding = architecture.attention_type(i) == "sliding";
    g.windows.push_back(sliding ? static_cast<std::int64_t>(spec.window) : 0);
  }
  return g;
}

}  // namespace organ::train
