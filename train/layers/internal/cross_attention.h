// SPDX-License-Identifier: Apache-2.0
// Attention of an encoder-decoder's target positions over its source, with its projections.
#pragma once

#include "train/kernels/attention.h"
#include "train/layers/layer.h"

namespace organ::train {

// What forward keeps for backward.
struct CrossAttentionTape {
  AttentionTape attention;
  at::Tensor source, attended;  // only where a projection needs its input
};

// Shares the tensors of its parameters; stateless. Positions are no matter here: no rotations, no
// position biases, no window, and no sinks.
class CrossAttention {
 public:
  CrossAttention(const Geometry& geometry, const LayerAttention& own, const TensorNames& names,
                 const LayerParameters& parameters);

  // x working [rows * target, hidden], source working [rows * source, hidden]; the result like x.
  // Reads what the batch lets the target positions see of the source, else all of it. A cache keeps
  // what is made of the source. From its second call on, `source` is not read.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& source, const Batch& batch,
                     CrossAttentionTape* tape, KeyValues* cache) const;

  struct Gradients {
    // As x and source of forward.
    at::Tensor x, source;  // working
  };
  // `input` makes x again. Consumes the tape. Adds the gradients of the projections that train.
  Gradients backward(const at::Tensor& dout, CrossAttentionTape& tape, const Batch& batch,
                     const MakeInput& input) const;

 private:
  kernels::HeadLayout layout(const Batch& batch) const;
  // working [2 (key, value), groups, source, head_size]
  at::Tensor key_value(const at::Tensor& source, const kernels::HeadLayout& heads) const;

  std::int64_t heads_, kv_heads_, head_size_;
  double scale_;
  Projection query_, key_value_, output_;
};

}  // namespace organ::train
