// SPDX-License-Identifier: Apache-2.0
// Self-attention with its projections: q|k|v in one product, the heads, the output projection.
#pragma once

#include <optional>

#include "train/kernels/attention.h"
#include "train/layers/layer.h"

namespace organ::train {

// What forward keeps for backward.
struct SelfAttentionTape {
  // Undefined tensors where the model has no norm of queries and keys.
  kernels::HeadNorm query_norm, key_norm;
  AttentionTape attention;
  at::Tensor attended;  // the heads' outputs; only where the output projection needs its input
};

// Shares the tensors of its parameters; stateless. In this order: the product, the norm of each
// query and key head, the rotation and the scale of the queries, a trained prefix, the cache, and
// the attention with the layer's window, sinks and position biases.
class SelfAttention {
 public:
  SelfAttention(const Geometry& geometry, const LayerAttention& own, const TensorNames& names,
                const LayerParameters& parameters);

  // x working [tokens, hidden], freed as soon as it is read; so is the result. A cache in `pass`
  // gets the keys and values, and its earlier ones are attended to as well.
  at::Tensor forward(at::Tensor x, const Pass& pass, SelfAttentionTape* tape) const;
  // The gradient of x. Consumes the tape. Adds the gradients of projections, head norms, sinks and
  // prefix where they train. `input` makes x again, only where the first product needs it.
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
  // Columns of the packed rows: all queries, all keys, all values.
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
