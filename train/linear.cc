// SPDX-License-Identifier: Apache-2.0
#include "train/internal/linear.h"

#include "train/kernels/kernels.h"
#include "train/kernels/product.h"

namespace organ::train {

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return kernels::product(x, weight.t(), bias);
}

at::Tensor linear_input_gradient(const at::Tensor& dy, const at::Tensor& weight) {
  return kernels::product(dy, weight);
}

void add_linear_gradient(const at::Tensor& dy, const at::Tensor& x, at::Tensor weight_gradient,
                         at::Tensor bias_gradient) {
  // In bf16 the product itself is rounded; the sum over micro-batches stays fp32.
  weight_gradient.add_(kernels::product(dy.t(), x));
  if (bias_gradient.defined()) kernels::accumulate_rows(dy, bias_gradient);
}

}  // namespace organ::train
