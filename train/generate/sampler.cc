// SPDX-License-Identifier: Apache-2.0
#include "train/generate/sampler.h"

#include <algorithm>
#include <cmath>

#include "format/base/fail.h"
#include "format/base/random.h"

namespace organ::train {

void check_sampling(const SamplingOptions& options) {
  if (!(options.temperature >= 0 && options.temperature <= 100)) {
    fail(ErrorCode::invalid_argument, "--temperature: {} is out of range, expected 0 to 100",
         options.temperature);
  }
  if (!(options.top_p > 0 && options.top_p <= 1)) {
    fail(ErrorCode::invalid_argument,
         "--top-p: {} is out of range, expected more than 0 and at most 1", options.top_p);
  }
}

RepetitionPenalty::RepetitionPenalty(double penalty) : penalty_(1) {
  constexpr double kLargest = 1e30;
  if (!(penalty >= 1 / kLargest && penalty <= kLargest)) {
    fail(ErrorCode::invalid_argument, "repetition penalty: {} is out of range, expected {} to {}",
         penalty, 1 / kLargest, kLargest);
  }
  penalty_ = static_cast<float>(penalty);
}

void RepetitionPenalty::apply(std::span<const std::int64_t> ids, std::span<float> logits) {
  if (penalty_ == 1) return;
  seen_.insert(ids.begin(), ids.end());
  for (const std::int64_t id : seen_) {
    float& logit = logits[static_cast<std::size_t>(id)];
    logit = logit < 0 ? logit * penalty_ : logit / penalty_;
  }
}

Sampler::Sampler(const SamplingOptions& options) : options_(options) { check_sampling(options); }

// Each token has a number of its own, so that the n-th depends on the seed and n alone.
double Sampler::draw() { return SplitMix64(SplitMix64(options_.seed).next() + drawn_++).uniform(); }

std::int32_t Sampler::choose(std::span<const float> logits) {
  const auto best = std::ranges::max_element(logits);
  const auto is_nan = [](float logit) { return std::isnan(logit); };  // which is no maximum
  if (best == logits.end() || !std::isfinite(*best) || std::ranges::any_of(logits, is_nan)) {
    fail(ErrorCode::corrupt, "the model's logits are not finite numbers");
  }
  if (options_.temperature == 0) return static_cast<std::int32_t>(best - logits.begin());
  candidates_.clear();
  double total = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double distance = static_cast<double>(*best) - static_cast<double>(logits[i]);
    const double weight = std::exp(-distance / options_.temperature);
    candidates_.push_back({weight, static_cast<std::int32_t>(i)});
    total += weight;
  }
  std::ranges::sort(candidates_, [](const Candidate& a, const Candidate& b) {
    return a.weight != b.weight ? a.weight > b.weight : a.id < b.id;
  });
  // A token stays while those before it have less than top_p together.
  double kept = 0;
  std::size_t count = 0;
  while (count < candidates_.size() && (count == 0 || kept < options_.top_p * total)) {
    kept += candidates_[count++].weight;
  }
  double left = draw() * kept;
  for (std::size_t i = 0; i + 1 < count; ++i) {
    left -= candidates_[i].weight;
    if (left < 0) return candidates_[i].id;
  }
  return candidates_[count - 1].id;
}

}  // namespace organ::train
