// SPDX-License-Identifier: Apache-2.0
// Cross-entropy of rows over a vocabulary that comes in stretches, so that a stretch's logits are
// still in the cache when they are read again (online softmax, arXiv 1805.02867). Stateless
// functions; results do not depend on the number of threads. All tensors of a call are on one
// device; see elementwise.h.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace organ::train::kernels {

// Of n rows, over the logits that were added.
struct SoftmaxSums {
  at::Tensor top;    // fp32 [n]: the largest logit
  at::Tensor sum;    // fp64 [n]: of e^(logit - top)
  at::Tensor score;  // fp32 [n]: the target's logit
};

// Before any logits.
SoftmaxSums empty_sums(std::int64_t rows, at::Device device = at::kCPU);

// Adds the logits, working [n, width], of ids [first_id, first_id + width); targets int64 [n].
// With `weights` the logits become e^(logit - top), 0 at the target. Returns fp32 [n]: by what
// numbers summed with earlier weights must be multiplied to fit the new top.
at::Tensor add_logits(const SoftmaxSums& sums, at::Tensor& logits, const at::Tensor& targets,
                      std::int64_t first_id, bool weights);

// total = total * factor + part, row by row: total fp32 [n, d], factor fp32 [n], part working
// [n, d].
void rescale_and_add(at::Tensor& total, const at::Tensor& factor, const at::Tensor& part);

// -ln p(target), fp64 [n], after all logits of the rows were added.
at::Tensor losses(const SoftmaxSums& sums);

// Turns the sum of weights times rows of the projection, fp32 [n, d], into the gradient of the
// losses' sum: total / sum + (p(target) - 1) * projection[target]; projection working
// [vocabulary, d]. The target goes apart, in fp32: where its probability is near one, bf16 weights
// would leave nothing of the difference.
void finish_gradient(const SoftmaxSums& sums, at::Tensor& total, const at::Tensor& projection,
                     const at::Tensor& targets);

}  // namespace organ::train::kernels
