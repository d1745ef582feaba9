// SPDX-License-Identifier: Apache-2.0
#include "train/weights/projection.h"

#include <ATen/ops/zeros_like.h>

#include "train/kernels/elementwise.h"
#include "train/kernels/product.h"
#include "train/weights/adaptation.h"

namespace organ::train {

Projection::Projection(Parameter weight, Parameter bias, Orientation orientation,
                       std::unique_ptr<Adaptation> adaptation)
    : weight_(std::move(weight)),
      bias_(std::move(bias)),
      orientation_(orientation),
      adaptation_(std::move(adaptation)) {}
Projection::Projection(Projection&&) noexcept = default;
Projection::~Projection() = default;

Projection Projection::unshifted() const {
  const at::Tensor zeros = bias_.value.defined() ? at::zeros_like(bias_.value) : at::Tensor();
  return {{weight_.value, {}}, {zeros, {}}, orientation_, nullptr};
}

at::Tensor Projection::forward(const at::Tensor& x) const {
  return adaptation_ ? adaptation_->forward(*this, x) : product(x);
}

at::Tensor Projection::backward(const at::Tensor& dy, const MakeInput& input) const {
  return adaptation_ ? adaptation_->backward(*this, dy, input) : product_backward(dy, input);
}

at::Tensor Projection::product(const at::Tensor& x) const {
  const bool out_in = orientation_ == Orientation::out_in;
  return kernels::product(x, out_in ? weight_.value.t() : weight_.value, bias_.value);
}

at::Tensor Projection::product_backward(const at::Tensor& dy, const MakeInput& input) const {
  if (weight_.gradient.defined()) add_gradient(dy, input());
  return input_gradient(dy);
}

at::Tensor Projection::input_gradient(const at::Tensor& dy) const {
  const bool out_in = orientation_ == Orientation::out_in;
  return kernels::product(dy, out_in ? weight_.value : weight_.value.t());
}

void Projection::add_gradient(const at::Tensor& dy, const at::Tensor& x) const {
  const bool out_in = orientation_ == Orientation::out_in;
  // In bf16 the product itself is rounded; the sum over micro-batches stays fp32.
  at::Tensor gradient = weight_.gradient;
  gradient.add_(out_in ? kernels::product(dy.t(), x) : kernels::product(x.t(), dy));
  if (bias_.gradient.defined()) kernels::accumulate_rows(dy, bias_.gradient);
}

}  // namespace organ::train
