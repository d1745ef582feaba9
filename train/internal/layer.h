// SPDX-License-Identifier: Apache-2.0
// One layer of the Llama skeleton: x + attention(norm(x)), then x + mlp(norm(x)).
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "train/internal/attention.h"
#include "train/internal/geometry.h"
#include "train/internal/model.h"
#include "train/internal/rope.h"
#include "train/kernels/kernels.h"

namespace organ::train {

// The tensors of a layer as views of one flat run of numbers in storage order; q|k|v and gate|up
// are one matrix each. Absent ones (biases, head norms) are undefined. Serves weights and
// gradients alike.
struct LayerTensors {
  at::Tensor qkv, qkv_bias, query_norm, key_norm, output, output_bias;
  at::Tensor gate_up, gate_up_bias, down, down_bias;
  at::Tensor attention_norm, mlp_norm;
};

// The storage order for the tensors an architecture lists. Throws incompatible when it lists one
// that the Llama skeleton has no place for, or a shape that contradicts the geometry.
std::vector<ParameterSlot> llama_layout(const std::vector<format::LayerTensor>& tensors,
                                        const Geometry& geometry);
LayerTensors layer_views(const at::Tensor& flat, const std::vector<ParameterSlot>& layout,
                         const Geometry& geometry);

// See model.h. `normed.out` is dropped from both norms: it is made again where it is needed.
struct LayerTape {
  kernels::Norm attention_norm, mlp_norm;
  kernels::HeadNorm query_norm, key_norm;
  AttentionTape attention;
  at::Tensor attended;  // the heads' outputs; only of a trained layer
  at::Tensor gate_up;
};

// The sequence structure shared by all layers of a pass.
struct Pass {
  kernels::HeadLayout layout;
  const VisibleSpans& spans;
  const RopeTables& rope;
};

// Computes with borrowed weights; stateless.
class LlamaLayer {
 public:
  LlamaLayer(const Geometry& geometry, const LayerTensors& weights, const LayerTensors* gradient)
      : geometry_(geometry), weights_(weights), gradient_(gradient) {}

  // x fp32 [tokens, hidden]; `tape` null: nothing kept.
  at::Tensor forward(const at::Tensor& x, const Pass& pass, LayerTape* tape) const;
  // Consumes the tape. Undefined when the input gradient is not needed.
  at::Tensor backward(const at::Tensor& dy, LayerTape& tape, const Pass& pass,
                      bool need_input_gradient) const;

 private:
  at::Tensor attend(const at::Tensor& normed, const Pass& pass, LayerTape* tape) const;
  at::Tensor mlp_backward(const at::Tensor& dy, LayerTape& tape) const;
  at::Tensor packed_gradient(const at::Tensor& dattended, LayerTape& tape, const Pass& pass) const;
  double query_scale() const;

  const Geometry& geometry_;
  const LayerTensors& weights_;
  const LayerTensors* gradient_;  // null: frozen
};

}  // namespace organ::train
