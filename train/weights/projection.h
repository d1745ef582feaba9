// SPDX-License-Identifier: Apache-2.0
// The matrices of a layer. Every large product of a layer with a weight goes through here, so
// that an adaptation of a weight has one place to stand.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include <ATen/core/Tensor.h>
#include "train/weights/parameter.h"

namespace organ::train {

class Adaptation;

// Makes the input of a part of a layer again, for weight gradients: cheaper than to keep it.
using MakeInput = std::function<at::Tensor()>;

// A linear map of rows, borrowed weights. Calls write nothing but gradients, and these without a
// lock: backward of one projection runs in one thread at a time.
class Projection {
 public:
  // weight [out, in] or [in, out]; bias [out] or undefined; adaptation null: none.
  Projection(Parameter weight, Parameter bias, Orientation orientation,
             std::unique_ptr<Adaptation> adaptation);
  Projection(Projection&&) noexcept;
  ~Projection();

  // x working [n, in]; the result working [n, out].
  at::Tensor forward(const at::Tensor& x) const;
  // The gradient of the input that gave y, working [n, in]; dy working [n, out]. Adds those of
  // weight, bias and adaptation where they train. `input` may be called more than once, and is not
  // called unless needs_input().
  at::Tensor backward(const at::Tensor& dy, const MakeInput& input) const;
  // Whether backward asks for the input.
  bool adapted() const { return adaptation_ != nullptr; }
  bool needs_input() const { return weight_.gradient.defined() || adaptation_; }

  const at::Tensor& bias() const { return bias_.value; }  // undefined: none
  // The same weight, borrowed, with a bias of zeros; without gradients and adaptation.
  Projection unshifted() const;

  // The same without the adaptation: for the adaptation itself, and for what is never adapted.
  at::Tensor product(const at::Tensor& x) const;
  at::Tensor product_backward(const at::Tensor& dy, const MakeInput& input) const;
  // The two parts of product_backward. add_gradient must be called where the weight trains, and
  // nowhere else.
  at::Tensor input_gradient(const at::Tensor& dy) const;
  void add_gradient(const at::Tensor& dy, const at::Tensor& x) const;

 private:
  Parameter weight_, bias_;
  Orientation orientation_;
  std::unique_ptr<Adaptation> adaptation_;
};

}  // namespace organ::train
