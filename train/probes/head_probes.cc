// SPDX-License-Identifier: Apache-2.0
#include "train/probes/internal/head_probes.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <ATen/ATen.h>
#include <fmt/format.h>
#include "train/probes/finding.h"

namespace organ::train {

std::vector<std::int64_t> positions_before(std::int64_t end) {
  std::vector<std::int64_t> positions(static_cast<std::size_t>(end));
  std::iota(positions.begin(), positions.end(), 0);
  return positions;
}

ProbeFinding probe_loss(const ProbedHead& head, const at::Tensor& x, const Batch& batch) {
  at::Tensor per_token;
  head.loss(x, batch, &per_token);
  const at::Tensor scores = head.logits(x, positions_before(batch.length)).to(at::kDouble);
  const at::Tensor expected =
      scores.logsumexp(-1) - scores.gather(1, batch.targets.clamp_min(0).unsqueeze(1)).squeeze(1);
  const at::Tensor difference =
      (expected - per_token.to(at::kDouble)).abs().masked_fill(batch.targets.lt(0), 0.0);
  return make_finding("shift", difference.max().item<double>(), 1e-3,
                      "largest difference between a position's loss and that of its target");
}

ProbeFinding probe_uniform(const ProbedHead& head) {
  const auto vocabulary = static_cast<double>(head.vocab_size);
  const double expected = std::log(vocabulary);
  const std::int64_t rows = head.chunk + 1;  // the last is alone in a chunk
  // Both ends of the vocabulary and what lies between.
  const at::Tensor targets =
      at::linspace(0, vocabulary - 1, rows, at::kDouble).round().to(at::kLong);
  at::Tensor per_token;
  const LossSum sum = head.uniform_loss(targets, &per_token);
  const double of_mean = std::abs(sum.nll / static_cast<double>(rows) - expected);
  const double of_row = (per_token.to(at::kDouble) - expected).abs().max().item<double>();
  // A vocabulary that is one word short or long moves ln(vocabulary) by 1 / vocabulary; a row's
  // loss is rounded to fp32.
  const double limit = std::clamp(0.25 / vocabulary, 1e-6, 1e-4);
  return make_finding(
      "uniform", sum.targets == rows ? std::max(of_mean, of_row) : INFINITY, limit,
      fmt::format("distance of the loss of equal logits from ln(vocabulary) = {:.4f}", expected));
}

}  // namespace organ::train
