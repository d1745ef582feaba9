// SPDX-License-Identifier: Apache-2.0
// y = x W^T + b with W [out, in] as Hugging Face's Linear stores it.
#pragma once

#include <ATen/core/Tensor.h>

namespace organ::train {

// x working [n, in]; bias undefined = none.
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);
// The gradient of x.
at::Tensor linear_input_gradient(const at::Tensor& dy, const at::Tensor& weight);
// Adds the gradients of weight and bias (fp32; bias undefined = none).
void add_linear_gradient(const at::Tensor& dy, const at::Tensor& x, at::Tensor weight_gradient,
                         at::Tensor bias_gradient);

}  // namespace organ::train
