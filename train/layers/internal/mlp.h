// SPDX-License-Identifier: Apache-2.0
// The part of a layer that works on each token alone.
#pragma once

#include <memory>

#include "train/layers/layer.h"

namespace organ::train {

// What forward keeps for backward; each kind has its own.
struct MlpTape {
  virtual ~MlpTape() = default;
};

// Borrows its weights and the place of their gradients; stateless.
class Mlp {
 public:
  virtual ~Mlp() = default;
  // x working [tokens, hidden], freed as soon as it is read (by experts at the end); the result is
  // like x, of experts fp32. tape null: nothing is kept.
  virtual at::Tensor forward(at::Tensor x, std::unique_ptr<MlpTape>* tape) const = 0;
  // The gradient of x. Consumes the tape. dout and the result working [tokens, hidden]; adds the
  // gradients of what trains. `input` makes x again and is called only where a weight or an adapter
  // needs it.
  virtual at::Tensor backward(const at::Tensor& dout, MlpTape& tape,
                              const MakeInput& input) const = 0;
};

// Of a layer with experts.
std::unique_ptr<Mlp> make_experts(const Geometry& geometry, const TensorNames& names,
                                  const LayerParameters& parameters);
// Of any layer: experts, gated (down(act(gate) * up)) or plain (out(act(in))), as geometry.mlp
// says.
std::unique_ptr<Mlp> make_mlp(const Geometry& geometry, const TensorNames& names,
                              const LayerParameters& parameters);

}  // namespace organ::train
