// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include <ATen/ATen.h>

#include "train/kernels/internal/composed.h"

namespace organ::train::kernels::composed {

at::Tensor add_logits(const SoftmaxSums& sums, at::Tensor& logits, const at::Tensor& targets,
                      std::int64_t first_id, bool weights) {
  const std::int64_t width = logits.size(1);
  const at::Tensor x = logits.to(at::kFloat);
  const at::Tensor here = targets.ge(first_id).logical_and_(targets.lt(first_id + width));
  const at::Tensor index = (targets - first_id).clamp_(0, width - 1).unsqueeze(1);
  const at::Tensor top = at::maximum(sums.top, x.amax(1));
  at::Tensor factor = (sums.top - top).exp_();
  const at::Tensor exponentials = (x - top.unsqueeze(1)).exp_();
  sums.sum.mul_(factor).add_(exponentials.sum(1));
  sums.score.copy_(at::where(here, x.gather(1, index).squeeze(1), sums.score));
  sums.top.copy_(top);
  if (weights) {
    const at::Tensor kept = exponentials.gather(1, index).masked_fill_(here.unsqueeze(1), 0);
    logits.copy_(exponentials.scatter_(1, index, kept));
  }
  return factor;
}

void rescale_and_add(at::Tensor& total, const at::Tensor& factor, const at::Tensor& part) {
  total.mul_(factor.unsqueeze(1)).add_(part);
}

at::Tensor losses(const SoftmaxSums& sums) {
  return sums.sum.log() + sums.top.to(at::kDouble) - sums.score.to(at::kDouble);
}

void finish_gradient(const SoftmaxSums& sums, at::Tensor& total, const at::Tensor& projection,
                     const at::Tensor& targets) {
  const at::Tensor distance = sums.score.to(at::kDouble) - sums.top.to(at::kDouble);
  const at::Tensor target = (distance.exp_() / sums.sum).sub_(1).to(at::kFloat);
  total.mul_(sums.sum.reciprocal().to(at::kFloat).unsqueeze(1));
  total.add_(at::index_select(projection, 0, targets).to(at::kFloat) * target.unsqueeze(1));
}

}  // namespace organ::train::kernels::composed
