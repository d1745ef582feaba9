// SPDX-License-Identifier: Apache-2.0
// The matrices of a layer. Every large product of a layer with a weight goes through here, so
// that an adaptation of a weight has one place to stand.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace organ::train {

// Some weights of a layer and the place for their gradient.
struct Parameter {
  at::Tensor value;     // working; undefined: the layer has none
  at::Tensor gradient;  // fp32, the same shape; undefined: frozen
};

// How Hugging Face stores the matrix: Linear, y = x W^T + b, or GPT-2's Conv1D, y = x W + b.
enum class Orientation : std::uint8_t { out_in, in_out };

// A linear map of rows, borrowed weights.
class Projection {
 public:
  // weight [out, in] or [in, out]; bias [out] or undefined.
  Projection(Parameter weight, Parameter bias, Orientation orientation)
      : weight_(std::move(weight)), bias_(std::move(bias)), orientation_(orientation) {}

  // x working [n, in]
  at::Tensor forward(const at::Tensor& x) const;
  at::Tensor input_gradient(const at::Tensor& dy) const;
  const at::Tensor& bias() const { return bias_.value; }  // undefined: none
  // Whether backward must call add_gradient.
  bool needs_input() const { return weight_.gradient.defined(); }
  // Adds the gradients of weight and bias for the input x that gave y.
  void add_gradient(const at::Tensor& dy, const at::Tensor& x) const;

 private:
  Parameter weight_, bias_;
  Orientation orientation_;
};

}  // namespace organ::train
