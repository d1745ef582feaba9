// SPDX-License-Identifier: Apache-2.0
#include "train/internal/linear.h"

#include <ATen/ops/addmm.h>
#include <ATen/ops/mm.h>

#include "train/kernels/kernels.h"

namespace organ::train {

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return bias.defined() ? at::addmm(bias, x, weight.t()) : at::mm(x, weight.t());
}

at::Tensor linear_input_gradient(const at::Tensor& dy, const at::Tensor& weight) {
  return at::mm(dy, weight);
}

void add_linear_gradient(const at::Tensor& dy, const at::Tensor& x, at::Tensor weight_gradient,
                         at::Tensor bias_gradient) {
  if (dy.scalar_type() == at::kFloat) {
    weight_gradient.addmm_(dy.t(), x);
  } else {
    // The product itself is rounded to bf16; the sum over micro-batches stays fp32.
    weight_gradient.add_(at::mm(dy.t(), x));
  }
  if (bias_gradient.defined()) kernels::accumulate_rows(dy, bias_gradient);
}

}  // namespace organ::train
