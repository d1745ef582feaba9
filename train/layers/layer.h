// SPDX-License-Identifier: Apache-2.0
// The maths of one layer behind one interface. A kind of layer is put together from a norm, an
// attention and an MLP; which of them, the architecture's fields say.
#pragma once

#include <memory>

#include <ATen/core/Tensor.h>

#include "train/layers/key_values.h"
#include "train/layers/layer_tape.h"
#include "train/positions/open_batch.h"
#include "train/positions/relative_bias.h"
#include "train/positions/rope.h"
#include "train/weights/geometry.h"
#include "train/weights/layer_parameters.h"
#include "train/weights/normalization.h"

namespace organ::train {

// What a layer reads beside its input and its weights. Borrows all of it for one forward or
// backward.
struct Pass {
  OpenBatch& open;
  const RopeTables* rope;                  // null: positions are no matter of the layers
  KeyValues* cache = nullptr;              // of the layer that runs; only while decoding
  const RelativeBias* relative = nullptr;  // of the layer's stack; null: its scores have no bias

  const Batch& batch() const { return open.batch(); }
  // The same over a part of the rows of an encoder-decoder.
  Pass over(OpenBatch& part) const { return {part, rope, cache, relative}; }
};

// Borrows its weights and the place of their gradients; stateless. What trains is what has a
// gradient tensor.
class Layer {
 public:
  virtual ~Layer() = default;
  // x fp32 [tokens, hidden]; `tape` null: nothing kept. The result is a new tensor like x. With a
  // tape backward can follow, once.
  virtual at::Tensor forward(const at::Tensor& x, const Pass& pass, LayerTapePtr* tape) const = 0;
  // Consumes the tape. Undefined when the input gradient is not needed. dy and the result fp32
  // [tokens, hidden]; `pass` says the same of the same batch as in forward. Gradients of the
  // weights and of adapters are added to in either case.
  virtual at::Tensor backward(const at::Tensor& dy, LayerTape& tape, const Pass& pass,
                              bool need_input_gradient) const = 0;
};

// x + attention(norm(x)), then x + mlp(norm(x)). Like all layers below it shares the tensors of
// `parameters` and keeps nothing of the other arguments but `layer` and `closing`. They throw as
// make_adaptation (train/weights/adaptation.h).
std::unique_ptr<Layer> make_pre_norm_layer(const Geometry& geometry, const LayerAttention& own,
                                           const TensorNames& names,
                                           const LayerParameters& parameters);
// norm(x + attention(x)), then norm(x + mlp(x)).
std::unique_ptr<Layer> make_post_norm_layer(const Geometry& geometry, const LayerAttention& own,
                                            const TensorNames& names,
                                            const LayerParameters& parameters);

// A pre-norm layer on the source part of an encoder-decoder's stream; the target part passes
// through. closing (borrowed): the norm behind the stack's last layer, else null.
std::unique_ptr<Layer> make_encoder_layer(std::unique_ptr<Layer> layer,
                                          const Normalization* closing);
// On the target part: x + attention(norm(x)), x + cross_attention(norm(x), source part), x +
// mlp(norm(x)). The source part passes through, and its gradient grows by what was read.
std::unique_ptr<Layer> make_decoder_layer(const Geometry& geometry, const LayerAttention& own,
                                          const TensorNames& names,
                                          const LayerParameters& parameters);

// Layer `index` of its stack; closing as above, null for all but the last. The geometry chooses the
// kind: a decoder's layer by its part, then post-norm by its placement, else pre-norm, on the
// source part where the geometry says so.
std::unique_ptr<Layer> make_layer(const Geometry& geometry, std::int64_t index,
                                  const TensorNames& names, const LayerParameters& parameters,
                                  const Normalization* closing);

}  // namespace organ::train
