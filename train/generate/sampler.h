// SPDX-License-Identifier: Apache-2.0
// Which token comes next, given the logits.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <vector>

#include "format/base/error.h"

#pragma GCC visibility push(default)

namespace organ::train {

// How a token is drawn: temperature first, then top-p (arXiv 1904.09751), then the dice of `seed`.
// top_p and seed matter only with a temperature above 0.
struct SamplingOptions {
  double temperature = 0;  // 0: always the most likely token, of equal ones the lowest id
  double top_p = 1;        // only the most likely tokens that have this probability together
  std::uint64_t seed = 0;
};

// Throws invalid_argument naming the option that is out of range. The temperature is 0 to 100,
// top_p above 0 and at most 1.
void check_sampling(const SamplingOptions& options);

// Makes tokens that were seen less likely, or more (below 1): arXiv 1909.05858 as transformers'
// logits processor has it. Not thread-safe: sees one text.
class RepetitionPenalty {
 public:
  // 1 changes nothing. Throws invalid_argument unless 1e-30 to 1e30.
  explicit RepetitionPenalty(double penalty);
  // `ids` have been read since the last call, all within `logits`. Once for each token that was
  // ever read: its logit divided by the penalty where it is above 0, else multiplied with it.
  void apply(std::span<const std::int64_t> ids, std::span<float> logits);

 private:
  float penalty_;
  std::set<std::int64_t> seen_;
};

// Equal options and logits give equal tokens. Not thread-safe: draws from one sequence. The n-th
// draw depends on the seed and n, not on what was drawn before.
class Sampler {
 public:
  // Throws as check_sampling.
  explicit Sampler(const SamplingOptions& options);
  // The id drawn from `logits`, one for each token of the vocabulary, borrowed for the call. Throws
  // corrupt when the largest logit is not a finite number. The token with which top_p is reached
  // may be drawn too, so that there is always one.
  std::int32_t choose(std::span<const float> logits);

 private:
  struct Candidate {
    double weight;
    std::int32_t id;
  };
  double draw();

  SamplingOptions options_;
  std::uint64_t drawn_ = 0;
  std::vector<Candidate> candidates_;
};

}  // namespace organ::train

#pragma GCC visibility pop
