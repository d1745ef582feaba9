// SPDX-License-Identifier: Apache-2.0
// Is one model better than another on these documents, or is it chance?
#pragma once

#include <cstdint>
#include <span>

#include "train/evaluate/evaluation.h"

namespace organ::train {

struct BootstrapOptions {
  std::uint64_t resamples = 10'000;  // 100 to 1,000,000
  std::uint64_t seed = 0;
};

struct PairedDifference {
  double nll = 0;            // mean NLL of the first minus that of the second, nats per target
  double low = 0, high = 0;  // 95 % percentile interval
  // Share of the resamples whose difference has the other sign or none, twice (at most 1): about
  // how often a difference as clear as this one comes by chance. Of n documents never below
  // 2^(1-n), how often all lie on one side by chance.
  double chance = 1;
  std::uint64_t documents = 0;  // those with targets
};

// Throws invalid_argument for a number of resamples that paired_bootstrap refuses, whatever the
// documents, or with so many; both are to be asked before the measuring.
void check_resamples(std::uint64_t resamples);
void check_bootstrap(std::uint64_t documents, const BootstrapOptions& options);

// The paired bootstrap (Efron and Tibshirani 1993, 16.2) with documents as units: each resample
// draws as many documents as there are, with replacement, and takes the difference of the
// token-weighted means. Percentiles are interpolated as numpy does. The scores belong to the same
// documents; throws invalid_argument when a document's targets differ, for fewer than two documents
// with targets, and for more than 10^10 draws.
PairedDifference paired_bootstrap(std::span<const DocumentScore> first,
                                  std::span<const DocumentScore> second,
                                  const BootstrapOptions& options);

}  // namespace organ::train
