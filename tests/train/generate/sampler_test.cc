// SPDX-License-Identifier: Apache-2.0
#include "train/generate/sampler.h"

#include <cmath>
#include <limits>
#include <map>

#include <doctest/doctest.h>

#include "tests/support/support.h"

namespace organ::test {
namespace {

using train::Sampler;
using train::SamplingOptions;

constexpr int kDraws = 20'000;

std::map<std::int32_t, double> shares(const SamplingOptions& options,
                                      const std::vector<float>& logits) {
  Sampler sampler(options);
  std::map<std::int32_t, double> counts;
  for (int i = 0; i < kDraws; ++i) counts[sampler.choose(logits)] += 1.0 / kDraws;
  return counts;
}

}  // namespace

TEST_CASE("temperature 0 takes the most likely token, of equal ones the lowest id") {
  Sampler sampler({});
  CHECK(sampler.choose(std::vector<float>{1, 3, 2, 3}) == 1);
  CHECK(sampler.choose(std::vector<float>{-5}) == 0);
}

TEST_CASE("a penalty reaches each token that was read once, by its sign") {
  train::RepetitionPenalty penalty(2);
  const std::vector<float> plain = {4, -4, 0, 6, -6};
  std::vector<float> logits = plain;
  penalty.apply(std::vector<std::int64_t>{0, 1, 1, 2}, logits);
  CHECK(logits == std::vector<float>{2, -8, 0, 6, -6});
  logits = plain;
  penalty.apply(std::vector<std::int64_t>{4, 0}, logits);
  CHECK(logits == std::vector<float>{2, -8, 0, 6, -12});
  train::RepetitionPenalty none(1);
  logits = plain;
  none.apply(std::vector<std::int64_t>{0, 1}, logits);
  CHECK(logits == plain);
  for (const double out :
       {0.0, -1.0, 1e31, 1e-31, std::nan(""), std::numeric_limits<double>::infinity()}) {
    CHECK(error_of([&] { train::RepetitionPenalty{out}; }).find("is out of range") !=
          std::string::npos);
  }
}

TEST_CASE("tokens are drawn with the softmax of logits over temperature") {
  const std::vector<float> logits = {std::log(0.5f), std::log(0.3f), std::log(0.2f)};
  const auto plain = shares({.temperature = 1, .seed = 3}, logits);
  CHECK(plain.at(0) == doctest::Approx(0.5).epsilon(0.03));
  CHECK(plain.at(1) == doctest::Approx(0.3).epsilon(0.03));
  CHECK(plain.at(2) == doctest::Approx(0.2).epsilon(0.05));
  const auto sharp = shares({.temperature = 0.5, .seed = 3}, logits);
  CHECK(sharp.at(0) == doctest::Approx(0.25 / 0.38).epsilon(0.03));
}

TEST_CASE("top-p keeps the tokens whose likelier ones have less than it together") {
  const std::vector<float> logits = {std::log(0.2f), std::log(0.5f), std::log(0.3f)};
  const auto two = shares({.temperature = 1, .top_p = 0.6, .seed = 9}, logits);
  CHECK(two.size() == 2);
  CHECK(two.at(1) == doctest::Approx(0.5 / 0.8).epsilon(0.03));
  CHECK(shares({.temperature = 1, .top_p = 0.4, .seed = 9}, logits).size() == 1);
  CHECK(shares({.temperature = 1, .top_p = 0.01, .seed = 9}, logits).count(1) == 1);
}

TEST_CASE("equal seeds draw equal tokens, other seeds others") {
  const std::vector<float> logits(100, 0.0f);
  const auto drawn = [&](std::uint64_t seed) {
    Sampler sampler({.temperature = 1, .seed = seed});
    std::vector<std::int32_t> ids;
    ids.reserve(50);
    for (int i = 0; i < 50; ++i) ids.push_back(sampler.choose(logits));
    return ids;
  };
  CHECK(drawn(7) == drawn(7));
  CHECK(drawn(7) != drawn(8));
}

TEST_CASE("options out of range and logits that are no numbers are refused") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double temperature : {-0.1, nan, 1e9}) {
    CHECK(error_of([&] { Sampler({.temperature = temperature}); }).find("--temperature") !=
          std::string::npos);
  }
  for (const double top_p : {0.0, 1.1, nan}) {
    CHECK(error_of([&] { Sampler({.top_p = top_p}); }).find("--top-p") != std::string::npos);
  }
  const auto refused = [&](double temperature, const std::vector<float>& logits) {
    Sampler sampler({.temperature = temperature});
    CHECK(error_of([&] { sampler.choose(logits); }) ==
          "corrupt: the model's logits are not finite numbers");
  };
  for (const double temperature : {0.0, 1.0}) {
    refused(temperature, {});
    refused(temperature, std::vector<float>(3, std::numeric_limits<float>::infinity()));
    refused(temperature, std::vector<float>(3, -std::numeric_limits<float>::infinity()));
    for (const std::size_t place : {0, 1, 2}) {
      std::vector<float> logits = {1, 2, 3};
      logits[place] = static_cast<float>(nan);
      refused(temperature, logits);
    }
  }
}

}  // namespace organ::test
