// SPDX-License-Identifier: Apache-2.0
#include "train/model/internal/head.h"

#include <algorithm>
#include <numeric>

#include <ATen/ATen.h>

#include "format/base/fail.h"
#include "train/kernels/cross_entropy.h"
#include "train/kernels/elementwise.h"
#include "train/kernels/product.h"

namespace organ::train {
namespace {

// Ids whose logits are there at once: on a CPU few enough that they stay in the cache between the
// product that makes them, the softmax and the product that reads them.
std::int64_t stretch_ids(at::Device device) { return device.is_cpu() ? 4096 : 32768; }

at::Tensor index_tensor(const std::vector<std::int64_t>& values, at::Device device) {
  at::Tensor tensor = kernels::empty({static_cast<std::int64_t>(values.size())}, at::kLong);
  std::copy(values.begin(), values.end(), tensor.mutable_data_ptr<std::int64_t>());
  return tensor.to(device);
}

}  // namespace

// The rows that have a target, gathered.
struct Head::Rows {
  at::Tensor index;     // int64 [n]: flat positions
  at::Tensor targets;   // int64 [n]
  at::Tensor normed;    // working [n, d]
  at::Tensor inner;     // working [n, d]: the transform's dense output
  kernels::Norm norm;   // of the backward
  at::Tensor gradient;  // working [n, d]: of the norm's output
  at::Tensor nll;       // fp32 [n], on the CPU
};

Head Head::unshifted() const {
  std::optional<HeadTransform> transform;
  if (transform_) {
    transform.emplace(HeadTransform{transform_->dense.unshifted(), transform_->activation});
  }
  return {norm_.unshifted(),
          projection_,
          chunk_,
          bias_.defined() ? at::zeros_like(bias_) : at::Tensor(),
          std::move(transform),
          input_scale_};
}

at::Tensor Head::prepare(const at::Tensor& x, Rows* rows) const {
  const at::ScalarType working = projection_.scalar_type();
  kernels::Norm* tape = rows != nullptr ? &rows->norm : nullptr;
  if (!transform_) {
    at::Tensor normed = norm_.forward(x, working, tape);
    return input_scale_ == 1 ? normed : normed.mul_(input_scale_);
  }
  const at::Tensor inner = transform_->dense.forward(kernels::convert(x, working));
  if (rows != nullptr) rows->inner = inner;
  const at::Tensor active = kernels::activate(transform_->activation, inner);
  return norm_.forward(kernels::convert(active, at::kFloat), working, tape);
}

at::Tensor Head::input_gradient(Rows& rows) const {
  at::Tensor gradient = norm_.input_gradient(rows.gradient, rows.norm, {});
  if (!transform_) return gradient;
  kernels::activate_backward(transform_->activation, rows.inner,
                             kernels::convert(gradient, rows.inner.scalar_type()));
  return kernels::convert(transform_->dense.input_gradient(rows.inner), at::kFloat);
}

at::Tensor Head::stretch_logits(const at::Tensor& normed, std::int64_t first,
                                std::int64_t count) const {
  at::Tensor logits = kernels::product(normed, projection_.narrow(0, first, count).t());
  if (bias_.defined()) logits.add_(bias_.narrow(0, first, count));
  return logits;
}

void Head::bind(const Parameter& gamma, const Parameter& beta, const Parameter& projection) {
  check(!transform_, "a head with a transform is not bound");
  norm_ = norm_.with(gamma, beta);
  projection_ = projection.value;
  projection_gradient_ = projection.gradient;
}

// The logits are made again, now that their top is known: their weights need no correction. The sum
// of a row's weights divides its input instead, which is narrower.
void Head::add_projection_gradient(const kernels::SoftmaxSums& sums, const at::Tensor& normed,
                                   const at::Tensor& targets, double scale) const {
  const kernels::SoftmaxSums again{sums.top, at::zeros_like(sums.sum), at::zeros_like(sums.score)};
  const at::Tensor inputs = normed.to(at::kFloat);
  const at::Tensor shares =
      inputs.div(sums.sum.to(at::kFloat).unsqueeze(1)).to(normed.scalar_type());
  const std::int64_t stretch = stretch_ids(normed.device());
  for (std::int64_t id = 0; id < projection_.size(0); id += stretch) {
    const std::int64_t width = std::min(stretch, projection_.size(0) - id);
    at::Tensor logits = stretch_logits(normed, id, width);
    kernels::add_logits(again, logits, targets, id, true);
    projection_gradient_.narrow(0, id, width).add_(kernels::product(logits.t(), shares), scale);
  }
  // The targets go apart, in fp32, as in finish_gradient.
  const at::Tensor distance = sums.score.to(at::kDouble) - sums.top.to(at::kDouble);
  const at::Tensor factor = (distance.exp() / sums.sum).sub_(1).mul_(scale).to(at::kFloat);
  kernels::add_to_rows(projection_gradient_, targets, inputs * factor.unsqueeze(1));
}

void Head::add_norm_gradient(const Rows& rows, double scale) const {
  if (!norm_.gamma().gradient.defined()) return;
  const auto zeros = [](const Parameter& p) {
    return p.gradient.defined() ? at::zeros_like(p.gradient) : at::Tensor();
  };
  const Parameter gamma{norm_.gamma().value, zeros(norm_.gamma())};
  const Parameter beta{norm_.beta().value, zeros(norm_.beta())};
  norm_.with(gamma, beta).add_gradient(rows.gradient, rows.norm);
  const auto add = [&](const at::Tensor& sum, const at::Tensor& part) {
    if (part.defined()) sum.add_(part, scale);
  };
  add(norm_.gamma().gradient, gamma.gradient);
  add(norm_.beta().gradient, beta.gradient);
}

double Head::chunk_loss(Rows& rows, std::int64_t first, std::int64_t count, bool gradient,
                        double scale) const {
  const at::Tensor normed = rows.normed.narrow(0, first, count);
  const at::Tensor targets = rows.targets.narrow(0, first, count);
  const at::Device device = normed.device();
  const kernels::SoftmaxSums sums = kernels::empty_sums(count, device);
  at::Tensor total;
  if (gradient)
    total = at::zeros({count, projection_.size(1)}, projection_.options().dtype(at::kFloat));
  const std::int64_t stretch = stretch_ids(device);
  for (std::int64_t id = 0; id < projection_.size(0); id += stretch) {
    const std::int64_t width = std::min(stretch, projection_.size(0) - id);
    at::Tensor logits = stretch_logits(normed, id, width);
    const at::Tensor factor = kernels::add_logits(sums, logits, targets, id, gradient);
    if (!gradient) continue;
    kernels::rescale_and_add(total, factor,
                             kernels::product(logits, projection_.narrow(0, id, width)));
  }
  if (gradient) {
    kernels::finish_gradient(sums, total, projection_, targets);
    rows.gradient.narrow(0, first, count).copy_(total);
    if (projection_gradient_.defined()) add_projection_gradient(sums, normed, targets, scale);
  }
  const at::Tensor losses = kernels::losses(sums).cpu();
  rows.nll.narrow(0, first, count).copy_(losses);
  const double* nll = losses.const_data_ptr<double>();
  return std::accumulate(nll, nll + count, 0.0);
}

LossSum Head::loss(const at::Tensor& x, const at::Tensor& targets, double scale, at::Tensor* dx,
                   at::Tensor* per_token) {
  const std::int64_t tokens = x.size(0), d = x.size(1);
  const at::Device device = x.device();
  if (dx != nullptr) *dx = at::zeros({tokens, d}, x.options());
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
  Rows rows{index_tensor(index, device),    index_tensor(wanted, device), {}, {}, {}, {},
            kernels::empty({n}, at::kFloat)};
  rows.normed = prepare(at::index_select(x, 0, rows.index), gradient ? &rows : nullptr);
  if (gradient) rows.gradient = kernels::empty({n, d}, projection_.scalar_type(), device);
  LossSum sum{0, n};
  for (std::int64_t first = 0; first < n; first += chunk_) {
    sum.nll += chunk_loss(rows, first, std::min(chunk_, n - first), gradient, scale);
  }
  if (gradient) {
    add_norm_gradient(rows, scale);
    at::Tensor part = input_gradient(rows);
    // Scaled in fp32, after the sum over the vocabulary: bf16 has too few bits for 1 / tokens.
    dx->index_copy_(0, rows.index, part.mul_(scale * input_scale_));
  }
  if (per_token != nullptr) per_token->index_copy_(0, rows.index.cpu(), rows.nll);
  return sum;
}

at::Tensor Head::logits(const at::Tensor& x, const std::vector<std::int64_t>& positions) const {
  const at::Tensor rows = at::index_select(x, 0, index_tensor(positions, x.device()));
  return kernels::convert(stretch_logits(prepare(rows, nullptr), 0, projection_.size(0)),
                          at::kFloat)
      .cpu();
}

}  // namespace organ::train
