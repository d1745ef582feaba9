// SPDX-License-Identifier: Apache-2.0
// A mixture of experts on whole tensors: which token goes to which expert, moving rows there and
// back, and the clamped SwiGLU between an expert's two matrices. Results do not depend on the
// number of threads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

namespace organ::train::kernels {

// One entry per (token, chosen expert), grouped by expert, tokens ascending within each.
struct Routing {
  std::int64_t tokens = 0, experts = 0;
  std::vector<std::int64_t> first;  // [experts + 1]: where the entries of each expert begin
  std::vector<std::int32_t> token;  // [entries]
  std::vector<float> weight;        // [entries]; those of one token add up to 1

  std::int64_t count(std::int64_t expert) const { return first[expert + 1] - first[expert]; }
  std::span<const std::int32_t> tokens_of(std::int64_t expert) const;
  std::span<const float> weights_of(std::int64_t expert) const;
};

// The `per_token` largest logits of each row (of equal ones the first), weighted by the softmax
// over these alone. logits working [n, experts]. Decided on the CPU wherever they are. Throws
// internal unless per_token is 1 to experts.
Routing route(const at::Tensor& logits, std::int64_t per_token);
// The gradient of the logits, of their type and on the CPU, given that of the weights [entries].
at::Tensor route_backward(const Routing& routing, std::span<const float> dweight,
                          at::ScalarType type);

// The given rows of x [n, d], one after the other.
at::Tensor gather_rows(const at::Tensor& x, std::span<const std::int32_t> rows);
// sum[rows[i]] += weights[i] * x[i]; sum fp32 [n, d], no row twice; no weights: 1.
void scatter_add_rows(at::Tensor& sum, std::span<const std::int32_t> rows, const at::Tensor& x,
                      std::span<const float> weights);
// Row i of x times weights[i], in place.
void scale_rows(at::Tensor& x, std::span<const float> weights);
// dots[i] += sum_j a[i, j] * b[i, j]; b a matrix like a, or one fp32 row [d] for all.
void add_row_dots(const at::Tensor& a, const at::Tensor& b, std::span<float> dots);

// gate_up [n, 2f] holds gate, up, gate, up ...: (up + 1) * gate * sigmoid(alpha * gate) with gate
// cut at limit and up at both limits. Backward in place: gate_up becomes its gradient.
struct ClampedSwiglu {
  double limit = 0, alpha = 0;
};
at::Tensor clamped_swiglu(const at::Tensor& gate_up, ClampedSwiglu form);
void clamped_swiglu_backward(at::Tensor& gate_up, const at::Tensor& dout, ClampedSwiglu form);

}  // namespace organ::train::kernels
