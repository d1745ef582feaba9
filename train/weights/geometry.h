// SPDX-License-Identifier: Apache-2.0
// The numbers and choices that a family's layer maths needs, read once from the architecture's
// signed fields.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "format/architecture/architecture.h"
#include "train/kernels/activation.h"
#include "train/kernels/experts.h"
#include "train/positions/batch_visibility.h"
#include "train/positions/relative_bias.h"
#include "train/positions/rope.h"
#include "train/positions/stream_parts.h"

namespace organ::train {

// rms_late: gpt-oss rounds to the working type once, after the product with gamma.
enum class NormKind : std::uint8_t { rms, rms_late, layer };
enum class NormPlacement : std::uint8_t { pre, post };
enum class MlpKind : std::uint8_t { gated, plain, experts };

// What one layer's attention has for itself.
struct LayerAttention {
  std::int64_t window = 0;  // how many positions a query sees, itself included; 0 = all before it
  double scale = 1;         // factor of the scores
};

struct Geometry {
  std::int64_t hidden_size = 0, intermediate_size = 0;
  std::int64_t heads = 0, kv_heads = 0, head_size = 0;
  NormKind norm = NormKind::rms;
  NormPlacement placement = NormPlacement::pre;
  double norm_epsilon = 0;
  MlpKind mlp = MlpKind::gated;
  kernels::Activation activation = kernels::Activation::silu;
  Sight sight = Sight::causal;
  bool qk_norm = false;  // RMS norm of each query and key head before the rotation
  std::optional<RopeScheme> rope;
  std::optional<RelativeScheme> relative;
  bool learned_positions = false;  // a table is added to the embedding
  StreamPart part = StreamPart::whole;
  bool sinks = false;  // a learned logit per query head joins each softmax
  std::int64_t experts = 0, experts_per_token = 0;
  kernels::ClampedSwiglu swiglu;          // of experts
  std::vector<LayerAttention> attention;  // per layer

  std::int64_t query_width() const { return heads * head_size; }
  std::int64_t kv_width() const { return kv_heads * head_size; }
  std::int64_t packed_width() const { return query_width() + 2 * kv_width(); }
};

// Throws incompatible for a layer whose maths training does not know.
Geometry read_geometry(const format::Architecture& architecture);

}  // namespace organ::train
