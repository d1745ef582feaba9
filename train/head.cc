// SPDX-License-Identifier: Apache-2.0
#include "train/internal/head.h"

#include <algorithm>

#include <ATen/ops/index_select.h>
#include <ATen/ops/zeros.h>

#include "format/base/error.h"
#include "train/kernels/kernels.h"
#include "train/kernels/product.h"

namespace organ::train {
namespace {

at::Tensor index_tensor(const std::vector<std::int64_t>& values) {
  at::Tensor tensor = kernels::empty({static_cast<std::int64_t>(values.size())}, at::kLong);
  std::copy(values.begin(), values.end(), tensor.mutable_data_ptr<std::int64_t>());
  return tensor;
}

}  // namespace

// The rows that have a target, gathered.
struct Head::Rows {
  at::Tensor index;     // int64 [n]: flat positions
  at::Tensor targets;   // int64 [n]
  at::Tensor normed;    // working [n, d]
  kernels::Norm norm;   // of the backward
  at::Tensor gradient;  // working [n, d]: of the norm's output
  at::Tensor nll;       // fp32 [n]
};

double Head::chunk_loss(Rows& rows, std::int64_t first, std::int64_t count, bool gradient) {
  at::Tensor logits = kernels::product(rows.normed.narrow(0, first, count), projection_.t());
  const double loss = kernels::cross_entropy(logits, rows.targets.narrow(0, first, count), gradient,
                                             rows.nll.narrow(0, first, count));
  if (gradient) {
    rows.gradient.narrow(0, first, count).copy_(kernels::product(logits, projection_));
  }
  return loss;
}

LossSum Head::loss(const at::Tensor& x, const at::Tensor& targets, double scale, at::Tensor* dx,
                   at::Tensor* per_token) {
  const std::int64_t tokens = x.size(0), d = x.size(1);
  if (dx != nullptr) *dx = at::zeros({tokens, d}, at::kFloat);
  if (per_token != nullptr) *per_token = at::zeros({tokens}, at::kFloat);
  std::vector<std::int64_t> index, wanted;
  const std::int64_t* target = targets.const_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < tokens; ++i) {
    if (target[i] < 0) continue;
    if (target[i] >= projection_.size(0)) {
      fail(ErrorCode::invalid_argument,
           "target at position {}: token id {} but the vocabulary has {}", i, target[i],
           projection_.size(0));
    }
    index.push_back(i);
    wanted.push_back(target[i]);
  }
  const auto n = static_cast<std::int64_t>(index.size());
  if (n == 0) return {};
  const bool gradient = dx != nullptr;
  Rows rows{index_tensor(index), index_tensor(wanted), {}, {}, {}, kernels::empty({n}, at::kFloat)};
  rows.normed = norm_.forward(at::index_select(x, 0, rows.index), projection_.scalar_type(),
                              gradient ? &rows.norm : nullptr);
  if (gradient) rows.gradient = kernels::empty({n, d}, projection_.scalar_type());
  LossSum sum{0, n};
  for (std::int64_t first = 0; first < n; first += chunk_) {
    sum.nll += chunk_loss(rows, first, std::min(chunk_, n - first), gradient);
  }
  if (gradient) {
    at::Tensor part = norm_.input_gradient(rows.gradient, rows.norm, {});
    // Scaled in fp32, after the sum over the vocabulary: bf16 has too few bits for 1 / tokens.
    dx->index_copy_(0, rows.index, part.mul_(scale));
  }
  if (per_token != nullptr) per_token->index_copy_(0, rows.index, rows.nll);
  return sum;
}

at::Tensor Head::logits(const at::Tensor& x, const std::vector<std::int64_t>& positions) const {
  const at::Tensor normed = norm_.forward(at::index_select(x, 0, index_tensor(positions)),
                                          projection_.scalar_type(), nullptr);
  return kernels::convert(kernels::product(normed, projection_.t()), at::kFloat);
}

}  // namespace organ::train
