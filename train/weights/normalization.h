// SPDX-License-Identifier: Apache-2.0
// The norm of a layer or of a head: its weights and what it does with them.
#pragma once

#include <ATen/core/Tensor.h>

#include "train/kernels/elementwise.h"
#include "train/weights/geometry.h"
#include "train/weights/layer_parameters.h"
#include "train/weights/projection.h"

namespace organ::train {

// Shares the memory of its weights with whoever gave them; copies do too.
class Normalization {
 public:
  // gamma [d]; beta [d] of a layer norm, undefined for an RMS norm.
  Normalization(NormKind kind, double epsilon, Parameter gamma, Parameter beta)
      : kind_(kind), epsilon_(epsilon), gamma_(std::move(gamma)), beta_(std::move(beta)) {}

  // x fp32 [n, d]; the result has the type `working`. A tape, when given, receives what backward
  // needs; the result is not kept there, output() makes it again.
  at::Tensor forward(const at::Tensor& x, at::ScalarType working, kernels::Norm* tape) const;
  at::Tensor output(const kernels::Norm& tape) const;
  // The same with a beta of zeros: it makes zeros of zeros. The new beta does not train.
  Normalization unshifted() const;

  const Parameter& gamma() const { return gamma_; }
  const Parameter& beta() const { return beta_; }
  // The same with other weights, of the same shapes.
  Normalization with(Parameter gamma, Parameter beta) const {
    return {kind_, epsilon_, std::move(gamma), std::move(beta)};
  }

  // Adds the gradients of the weights, where they train. dout working [n, d]; the tape is that of
  // forward for the same rows, kept for backward.
  void add_gradient(const at::Tensor& dout, const kernels::Norm& tape) const;
  // base + the gradient of x, fp32 [n, d], of dout working [n, d]; base fp32 [n, d] or undefined
  // (zero), and not written to. The weights' gradients are left as they are.
  at::Tensor input_gradient(const at::Tensor& dout, const kernels::Norm& tape,
                            const at::Tensor& base) const;

 private:
  NormKind kind_;
  double epsilon_;
  Parameter gamma_, beta_;
};

// The norm of a layer whose weights are called NAME.weight and, with a shift, NAME.bias, of
// [hidden_size] each. Where the layer has no such tensor, that weight is undefined.
Normalization make_norm(const Geometry& geometry, std::string_view name,
                        const LayerParameters& parameters);

}  // namespace organ::train
