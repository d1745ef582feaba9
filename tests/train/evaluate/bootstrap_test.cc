// SPDX-License-Identifier: Apache-2.0
#include "train/evaluate/bootstrap.h"

#include <cmath>
#include <vector>

#include <doctest/doctest.h>

#include "format/base/random.h"
#include "tests/support/support.h"

namespace organ::train {
namespace {

using Scores = std::vector<DocumentScore>;

// Documents whose losses differ by `shift` nats a target, with noise.
std::pair<Scores, Scores> made_scores(double shift, std::size_t documents) {
  SplitMix64 random(7);
  const auto noise = [&] { return static_cast<double>(random.below(2001)) / 1000 - 1; };
  Scores a, b;
  for (std::size_t i = 0; i < documents; ++i) {
    const auto targets = static_cast<std::int64_t>(20 + random.below(100));
    const double level = 3 + noise();
    a.push_back({static_cast<double>(targets) * (level + shift + 0.1 * noise()), targets});
    b.push_back({static_cast<double>(targets) * level, targets});
  }
  return {a, b};
}

}  // namespace

TEST_CASE("equal models differ by nothing, with certainty") {
  const auto [a, b] = made_scores(0, 30);
  const auto same = paired_bootstrap(b, b, {});
  CHECK(same.nll == 0);
  CHECK(same.low == 0);
  CHECK(same.high == 0);
  CHECK(same.chance == 1);
  CHECK(same.documents == 30);
}

TEST_CASE("a difference beyond the noise has an interval without zero, one within it has not") {
  const auto [worse, base] = made_scores(0.2, 60);
  const auto clear = paired_bootstrap(worse, base, {});
  CHECK(clear.low > 0.15);
  CHECK(clear.nll > clear.low);
  CHECK(clear.high > clear.nll);
  CHECK(clear.high < 0.25);
  CHECK(clear.chance == std::exp2(-59));  // no resample has another sign
  const auto mirrored = paired_bootstrap(base, worse, {});
  CHECK(mirrored.nll == doctest::Approx(-clear.nll));
  CHECK(mirrored.low == doctest::Approx(-clear.high));
  Scores noisy = base;
  const Scores& same = base;
  for (std::size_t i = 0; i < noisy.size(); ++i) noisy[i].nll += i % 2 ? 3 : -3;
  const auto unclear = paired_bootstrap(noisy, same, {});
  CHECK(unclear.low < 0);
  CHECK(unclear.high > 0);
  CHECK(unclear.chance > 0.05);
}

TEST_CASE("few documents prove little, however clear they are") {
  for (const std::size_t documents : {2, 3, 6, 12}) {
    const auto [worse, base] = made_scores(0.5, documents);
    const auto clear = paired_bootstrap(worse, base, {});
    CHECK(clear.low > 0);
    CHECK(clear.chance == std::exp2(1 - static_cast<double>(documents)));
  }
}

TEST_CASE("the width of the interval is that of the ratio estimator") {
  const auto [a, b] = made_scores(0.1, 200);
  const auto result = paired_bootstrap(a, b, {.resamples = 20'000});
  // The delta method: residuals of the documents over the total number of targets.
  double total = 0, squares = 0;
  for (const auto& one : a) total += static_cast<double>(one.targets);
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double residual = a[i].nll - b[i].nll - result.nll * static_cast<double>(a[i].targets);
    squares += residual * residual;
  }
  const double expected = 2 * 1.959964 * std::sqrt(squares) / total;
  CHECK(result.high - result.low == doctest::Approx(expected).epsilon(0.05));
}

TEST_CASE("one seed gives one interval") {
  const auto [a, b] = made_scores(0.1, 40);
  CHECK(paired_bootstrap(a, b, {.seed = 3}).low == paired_bootstrap(a, b, {.seed = 3}).low);
  CHECK(paired_bootstrap(a, b, {.seed = 3}).low != paired_bootstrap(a, b, {.seed = 4}).low);
}

TEST_CASE("documents without targets do not count") {
  auto [a, b] = made_scores(0.1, 40);
  const auto without = paired_bootstrap(a, b, {});
  a.insert(a.begin() + 5, DocumentScore{});
  b.insert(b.begin() + 5, DocumentScore{});
  const auto with = paired_bootstrap(a, b, {});
  CHECK(with.documents == 40);
  CHECK(with.low == without.low);
}

TEST_CASE("what cannot be compared is refused") {
  const auto [a, b] = made_scores(0.1, 3);
  const auto refused = [](const Scores& x, const Scores& y, const BootstrapOptions& options) {
    return test::error_of([&] { (void)paired_bootstrap(x, y, options); });
  };
  CHECK(refused(a, {b[0]}, {}) ==
        "invalid_argument: comparison: 3 documents against 1, expected the same");
  Scores other = b;
  ++other[2].targets;
  CHECK(refused(a, other, {}).starts_with("invalid_argument: comparison: document 2 has"));
  CHECK(refused({a[0]}, {b[0]}, {}) ==
        "invalid_argument: comparison: 1 document with targets, expected at least 2");
  CHECK(refused(a, b, {.resamples = 99}).starts_with("invalid_argument: --resamples: 99 is"));
  const Scores many(20'000, {1, 1});
  CHECK(refused(many, many, {.resamples = 1'000'000}).find("draws") != std::string::npos);
}

}  // namespace organ::train
