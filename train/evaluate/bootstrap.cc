// SPDX-License-Identifier: Apache-2.0
#include "train/evaluate/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <fmt/core.h>

#include "format/base/fail.h"
#include "format/base/random.h"

namespace organ::train {
namespace {

constexpr std::uint64_t kMinResamples = 100, kMaxResamples = 1'000'000;
constexpr double kMaxDraws = 1e10;

struct Unit {
  double nll = 0;  // first minus second, summed over the document
  double targets = 0;
};

std::vector<Unit> pair_up(std::span<const DocumentScore> first,
                          std::span<const DocumentScore> second) {
  if (first.size() != second.size()) {
    fail(ErrorCode::invalid_argument, "comparison: {} against {}, expected the same",
         counted(first.size(), "document"), second.size());
  }
  std::vector<Unit> units;
  for (std::size_t i = 0; i < first.size(); ++i) {
    if (first[i].targets != second[i].targets) {
      fail(ErrorCode::invalid_argument,
           "comparison: document {} has {} against {}, expected the same tokens", i,
           counted(first[i].targets, "target"), second[i].targets);
    }
    if (first[i].targets == 0) continue;
    units.push_back({first[i].nll - second[i].nll, static_cast<double>(first[i].targets)});
  }
  return units;
}

double ratio(const Unit& sum) { return sum.nll / sum.targets; }

double resample(const std::vector<Unit>& units, SplitMix64& random) {
  Unit sum;
  for (std::size_t i = 0; i < units.size(); ++i) {
    const Unit& unit = units[random.below(units.size())];
    sum.nll += unit.nll;
    sum.targets += unit.targets;
  }
  return ratio(sum);
}

// Interpolated between the two nearest of the ascending values.
double quantile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], place - static_cast<double>(below));
}

// Whatever the resamples say: of so many documents all may lie on one side by chance, as coins do
// (the sign test).
double least_chance(std::size_t documents) { return std::exp2(1 - static_cast<double>(documents)); }

double chance_of(const std::vector<double>& sorted) {
  const auto share = [&](auto count) {
    return static_cast<double>(count) / static_cast<double>(sorted.size());
  };
  const double not_above =
      share(std::upper_bound(sorted.begin(), sorted.end(), 0.0) - sorted.begin());
  const double not_below =
      share(sorted.end() - std::lower_bound(sorted.begin(), sorted.end(), 0.0));
  return std::min(1.0, 2 * std::min(not_above, not_below));
}

}  // namespace

void check_resamples(std::uint64_t resamples) {
  if (resamples >= kMinResamples && resamples <= kMaxResamples) return;
  fail(ErrorCode::invalid_argument, "--resamples: {} is out of range, expected {} to {}", resamples,
       kMinResamples, kMaxResamples);
}

void check_bootstrap(std::uint64_t documents, const BootstrapOptions& options) {
  const std::uint64_t resamples = options.resamples;
  if (documents < 2) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("comparison: {} with targets, expected at least 2",
                            counted(documents, "document")),
                "--documents blank-lines or end-of-text divides a file");
  }
  check_resamples(resamples);
  if (static_cast<double>(resamples) * static_cast<double>(documents) > kMaxDraws) {
    fail(ErrorCode::invalid_argument, "--resamples: {} of {} are more than {:.0e} draws", resamples,
         counted(documents, "document"), kMaxDraws);
  }
}

PairedDifference paired_bootstrap(std::span<const DocumentScore> first,
                                  std::span<const DocumentScore> second,
                                  const BootstrapOptions& options) {
  const std::vector<Unit> units = pair_up(first, second);
  check_bootstrap(units.size(), options);
  Unit total;
  for (const Unit& unit : units) {
    total.nll += unit.nll;
    total.targets += unit.targets;
  }
  SplitMix64 random(options.seed);
  std::vector<double> differences(options.resamples);
  for (double& difference : differences) difference = resample(units, random);
  std::sort(differences.begin(), differences.end());
  return {.nll = ratio(total),
          .low = quantile(differences, 0.025),
          .high = quantile(differences, 0.975),
          .chance = std::max(chance_of(differences), least_chance(units.size())),
          .documents = units.size()};
}

}  // namespace organ::train
