// SPDX-License-Identifier: Apache-2.0
// Self-attention with its projections: q|k|v in one product, the heads, the output projection.
#pragma once

#include <optional>

#include "train/kernels/attention.h"
#include "train/layers/layer.h"

namespace organ::train {

struct SelfAttentionTape {
  kernels::HeadNorm query_norm, key_norm;
  AttentionTape attention;
  at::Tensor attended;  // the heads' outputs; only where the output projection needs its input
};

class SelfAttention {
 public:
  SelfAttention(const Geometry& geometry, const LayerAttention& own, const TensorNames& names,
                const LayerParameters& parameters);

  // x working [tokens, hidden], freed as soon as it is read; so is the result.
  at::Tensor forward(at::Tensor x, const Pass& pass, SelfAttentionTape* tape) const;
  // The gradient of x. Consumes the tape.
  at::Tensor backward(const at::Tensor& dout, SelfAttentionTape& tape, const Pass& pass,
                      const MakeInput& input) const;

 private:
  // The norm of one head, the same for all of them.
  struct PerHeadNorm {
    Parameter gamma;
    double epsilon;
  };
  std::optional<PerHeadNorm> head_norm(const LayerParameters& parameters, std::string_view name,
                                       const Geometry& geometry) const;
  kernels::HeadLayout layout(const Batch& batch) const;
  kernels::HeadRange query_heads() const { return {0, heads_, head_size_}; }
  kernels::HeadRange key_heads() const { return {heads_ * head_size_, kv_heads_, head_size_}; }
  at::Tensor packed_gradient(const at::Tensor& dattended, SelfAttentionTape& tape,
                             const Pass& pass) const;

  std::int64_t heads_, kv_heads_, head_size_, window_;
  double scale_;
  Sight sight_;
  Projection qkv_, output_;
  Parameter sinks_, prefix_;
  std::optional<PerHeadNorm> query_norm_, key_norm_;
};

}  // namespace organ::train
