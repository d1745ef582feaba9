// SPDX-License-Identifier: Apache-2.0
#include "train/kernels/rows.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <vector>

namespace organ::test {
namespace {

using namespace train::kernels;

float exact(Bf16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}

// Nearest bf16, ties to even, by comparing the two neighbours.
std::uint16_t nearest_bf16(float value) {
  const auto below = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16);
  const auto above = static_cast<std::uint16_t>(below + 1);
  const double low = std::abs(static_cast<double>(value) - exact({below}));
  const double high = std::abs(static_cast<double>(exact({above})) - value);
  if (low != high) return low < high ? below : above;
  return below % 2 == 0 ? below : above;
}

// Lengths that leave every kind of remainder behind full vectors.
const std::vector<std::int64_t> kLengths = {1, 2, 7, 8, 15, 16, 17, 31, 33, 64, 100};

constexpr float kNoSink = -std::numeric_limits<float>::infinity();

std::vector<float> wave(std::int64_t n, float step) {
  std::vector<float> values(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = 3.0f * std::sin(step * static_cast<float>(i + 1));
  }
  return values;
}

}  // namespace

TEST_CASE("bf16 conversion rounds to nearest even at every kind of value") {
  std::vector<float> values = {0.0f,        -0.0f,   1.0f,   1.00390625f,
                               1.01171875f, 3.0e38f, 1e-40f, 65504.0f};
  for (std::uint32_t i = 0; i < 4096; ++i) {
    const float value = std::bit_cast<float>(i * 1048573u);
    if (std::abs(value) < 3.3e38f) values.push_back(value);  // not finite or rounds to infinity
  }
  std::vector<Bf16> rounded(values.size());
  convert_row(values.data(), rounded.data(), static_cast<std::int64_t>(values.size()));
  std::vector<float> back(values.size());
  convert_row(rounded.data(), back.data(), static_cast<std::int64_t>(values.size()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    CAPTURE(values[i]);
    CHECK(rounded[i].bits == nearest_bf16(values[i]));
    CHECK(back[i] == exact(rounded[i]));
  }
}

TEST_CASE("bf16 conversion keeps infinities and makes no number of a NaN") {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> values = {infinity, -infinity, std::bit_cast<float>(0x7f800001u),
                                     std::bit_cast<float>(0xffffffffu), 3.4e38f};
  std::vector<Bf16> rounded(values.size());
  convert_row(values.data(), rounded.data(), 5);
  CHECK(exact(rounded[0]) == infinity);
  CHECK(exact(rounded[1]) == -infinity);
  CHECK(std::isnan(exact(rounded[2])));
  CHECK(std::isnan(exact(rounded[3])));
  CHECK(exact(rounded[4]) == infinity);  // the nearest bf16 of a number above the largest one
}

TEST_CASE("softmax over a range is exact to fp32 and zero outside") {
  for (const std::int64_t n : kLengths) {
    CAPTURE(n);
    const std::int64_t first = n / 4, last = n - n / 8;
    const std::vector<float> scores = wave(n, 0.7f);
    std::vector<float> row = scores, scratch(row.size());
    softmax_row(row.data(), first, last, n, kNoSink, scratch.data());
    double sum = 0;
    for (std::int64_t i = first; i < last; ++i) sum += std::exp(static_cast<double>(scores[i]));
    for (std::int64_t i = 0; i < n; ++i) {
      const bool inside = i >= first && i < last;
      const double expected = inside ? std::exp(static_cast<double>(scores[i])) / sum : 0.0;
      CHECK(row[i] == doctest::Approx(expected).epsilon(1e-6));
    }
  }
}

TEST_CASE("softmax of scores with a bias is that of their sums") {
  for (const std::int64_t n : kLengths) {
    CAPTURE(n);
    const std::int64_t first = n / 4, last = n - n / 8;
    const std::vector<float> bias = wave(n, 1.3f);
    std::vector<float> row = wave(n, 0.7f), sums = row, scratch(row.size());
    for (std::int64_t i = 0; i < n; ++i) sums[i] += bias[i];
    biased_softmax_row(row.data(), bias.data(), first, last, n, scratch.data());
    softmax_row(sums.data(), first, last, n, kNoSink, scratch.data());
    CHECK(row == sums);
  }
}

TEST_CASE("softmax survives large scores") {
  std::vector<float> row = {-1e30f, 1e30f, 1e30f, -3e38f}, scratch(4);
  softmax_row(row.data(), 0, 4, 4, kNoSink, scratch.data());
  CHECK(row[0] == doctest::Approx(0.0));
  CHECK(row[1] == doctest::Approx(0.5));
  CHECK(row[2] == doctest::Approx(0.5));
}

TEST_CASE("a sink takes its share of a softmax and gets its gradient") {
  const std::int64_t n = 9, first = 2, last = 8;
  const std::vector<float> scores = wave(n, 0.7f), dp = wave(n, 1.9f);
  for (const float sink : {-2.0f, 0.4f, 50.0f}) {
    const auto value = [&](double moved) {  // sum of dp * p, without the sink
      double sum = std::exp(sink + moved), dot = 0;
      for (std::int64_t i = first; i < last; ++i) sum += std::exp(static_cast<double>(scores[i]));
      for (std::int64_t i = first; i < last; ++i) dot += dp[i] * std::exp(double{scores[i]}) / sum;
      return dot;
    };
    std::vector<float> p = scores, scratch(p.size()), gradient = dp;
    const float share = softmax_row(p.data(), first, last, n, sink, scratch.data());
    double total = share;
    for (const float each : p) total += each;
    CHECK(total == doctest::Approx(1.0));
    const float dot = softmax_backward_row(gradient.data(), p.data(), first, last, n);
    CHECK(dot == doctest::Approx(value(0)).epsilon(1e-5));
    CHECK(-share * dot == doctest::Approx((value(1e-6) - value(-1e-6)) / 2e-6).epsilon(1e-3));
  }
}

TEST_CASE("the experts' SwiGLU is cut at its limit, and what was cut has no gradient") {
  constexpr float kLimit = 1.5f, kAlpha = 1.3f;
  const auto value = [&](double gate, double up) {
    const double g = std::min(gate, double{kLimit}), u = std::clamp(up, -1.5, 1.5);
    return (u + 1) * g / (1 + std::exp(-kAlpha * g));
  };
  for (const std::int64_t n : kLengths) {
    const std::vector<float> gate_up = wave(2 * n, 0.9f), dout = wave(n, 2.1f);
    std::vector<float> out(dout.size()), gradient = gate_up;
    clamped_swiglu_row(gate_up.data(), kLimit, kAlpha, out.data(), n);
    clamped_swiglu_backward_row(gradient.data(), kLimit, kAlpha, dout.data(), n);
    for (std::size_t i = 0; i < out.size(); ++i) {
      const double g = gate_up[2 * i], u = gate_up[2 * i + 1], h = 1e-5;
      CHECK(std::abs(out[i] - value(g, u)) < 1e-5);
      const double dgate = dout[i] * (value(g + h, u) - value(g - h, u)) / (2 * h);
      const double dup = dout[i] * (value(g, u + h) - value(g, u - h)) / (2 * h);
      CHECK(std::abs(gradient[2 * i] - dgate) < 1e-4);
      CHECK(std::abs(gradient[2 * i + 1] - dup) < 1e-4);
    }
  }
}

TEST_CASE("the softmax of a row in two stretches is that of the definition") {
  for (const std::int64_t n : kLengths) {
    if (n < 2) continue;
    CAPTURE(n);
    const std::vector<float> logits = wave(n, 1.3f);
    double sum = 0;
    for (const float value : logits) sum += std::exp(static_cast<double>(value));
    for (const std::int64_t cut : {std::int64_t{1}, n / 2, n - 1}) {
      const std::int64_t target = n / 2;
      std::vector<float> row = logits, scratch(row.size());
      SoftmaxState state{-std::numeric_limits<float>::infinity()};
      softmax_stretch_row(row.data(), cut, target, true, state, scratch.data());
      const float factor =
          softmax_stretch_row(row.data() + cut, n - cut, target - cut, true, state, scratch.data());
      CHECK(state.top == *std::max_element(logits.begin(), logits.end()));
      CHECK(state.score == logits[static_cast<std::size_t>(target)]);
      CHECK(std::log(state.sum) + state.top == doctest::Approx(std::log(sum)).epsilon(1e-6));
      for (std::int64_t i = 0; i < n; ++i) {
        const auto at = static_cast<std::size_t>(i);
        const double weight = i == target ? 0 : std::exp(static_cast<double>(logits[at])) / sum;
        CHECK(std::abs(row[at] * (i < cut ? factor : 1) / state.sum - weight) < 1e-6);
      }
    }
  }
}

TEST_CASE("a NaN among the logits gives a NaN sum") {
  std::vector<float> row = wave(40, 0.3f), scratch(row.size());
  row[17] = std::nanf("");
  SoftmaxState state{-std::numeric_limits<float>::infinity()};
  softmax_stretch_row(row.data(), 40, 3, false, state, scratch.data());
  CHECK(std::isnan(state.sum));
}

TEST_CASE("gated functions and their gradients agree with differences in fp64") {
  constexpr double kRoot = 0.79788456080286535588;  // sqrt(2 / pi)
  const std::map<Activation, std::function<double(double)>> definitions = {
      {Activation::silu, [](double x) { return x / (1 + std::exp(-x)); }},
      {Activation::gelu_tanh,
       [](double x) { return 0.5 * x * (1 + std::tanh(kRoot * (x + 0.044715 * x * x * x))); }},
  };
  for (const auto& [kind, definition] : definitions) {
    for (const std::int64_t n : kLengths) {
      const std::vector<float> gate = wave(n, 0.9f), up = wave(n, 0.4f), dout = wave(n, 2.1f);
      std::vector<float> out(gate.size()), dgate = gate, dup = up;
      gated_row(kind, gate.data(), up.data(), out.data(), n);
      gated_backward_row(kind, dgate.data(), dup.data(), dout.data(), n);
      for (std::size_t i = 0; i < gate.size(); ++i) {
        const double g = gate[i], u = up[i], h = 1e-5;
        const double slope = (definition(g + h) - definition(g - h)) / (2 * h);
        CHECK(std::abs(out[i] - definition(g) * u) < 1e-5);
        CHECK(std::abs(dgate[i] - dout[i] * u * slope) < 1e-4);
        CHECK(std::abs(dup[i] - dout[i] * definition(g)) < 1e-4);
      }
    }
  }
}

TEST_CASE("each activation and its slope are those of the definition, large numbers included") {
  const auto phi = [](double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); };
  const std::map<Activation, std::function<double(double)>> definitions = {
      {Activation::silu, [](double x) { return x / (1 + std::exp(-x)); }},
      {Activation::gelu, [&](double x) { return x * phi(x); }},
      {Activation::gelu_tanh,
       [](double x) {
         constexpr double kRoot = 0.79788456080286535588;  // sqrt(2 / pi)
         return 0.5 * x * (1 + std::tanh(kRoot * (x + 0.044715 * x * x * x)));
       }},
      {Activation::relu, [](double x) { return std::max(0.0, x); }},
  };
  for (const auto& [kind, definition] : definitions) {
    for (const std::int64_t n : kLengths) {
      std::vector<float> x = wave(n, 0.9f), out(x.size());
      x[0] = n % 2 == 0 ? 200.0f : -200.0f;
      const std::vector<float> dout = wave(n, 2.1f);
      std::vector<float> dx = x;
      activate_row(kind, x.data(), out.data(), n);
      activate_backward_row(kind, dx.data(), dout.data(), n);
      for (std::size_t i = 0; i < x.size(); ++i) {
        CAPTURE(x[i]);
        const double h = 1e-6, slope = (definition(x[i] + h) - definition(x[i] - h)) / (2 * h);
        CHECK(std::abs(out[i] - definition(x[i])) < 5e-7);
        CHECK(std::abs(dx[i] - dout[i] * slope) < 3e-6);
      }
    }
  }
}

TEST_CASE("layer norm and its gradient are those of the definition") {
  for (const std::int64_t n : kLengths) {
    CAPTURE(n);
    const auto size = static_cast<std::size_t>(n);
    const std::vector<float> x = wave(n, 0.7f), gamma = wave(n, 0.2f), beta = wave(n, 1.9f);
    const std::vector<float> dout = wave(n, 1.1f), base = wave(n, 0.05f);
    constexpr float kEpsilon = 1e-2f;
    const auto value = [&](std::size_t out, std::size_t moved, double by) {
      double mean = by, squares = 0;
      for (const float each : x) mean += each;
      mean /= static_cast<double>(n);
      const auto centred = [&](std::size_t i) { return x[i] + (i == moved ? by : 0.0) - mean; };
      for (std::size_t i = 0; i < size; ++i) squares += centred(i) * centred(i);
      const double rstd = 1 / std::sqrt(squares / static_cast<double>(n) + kEpsilon);
      return centred(out) * rstd * gamma[out] + beta[out];
    };
    std::vector<float> unit(size), out(size), dx(size), again(size);
    const float rstd =
        layer_norm_row(x.data(), gamma.data(), beta.data(), kEpsilon, unit.data(), out.data(), n);
    layer_norm_backward_row(dout.data(), unit.data(), rstd, gamma.data(), base.data(), dx.data(),
                            n);
    affine_row(unit.data(), gamma.data(), beta.data(), again.data(), n);
    for (std::size_t i = 0; i < size; ++i) {
      CHECK(std::abs(out[i] - value(i, i, 0)) < 2e-5);
      CHECK(std::abs(again[i] - out[i]) < 2e-6);
      double slope = base[i];
      for (std::size_t j = 0; j < size; ++j) {
        slope += dout[j] * (value(j, i, 1e-6) - value(j, i, -1e-6)) / 2e-6;
      }
      CHECK(std::abs(dx[i] - slope) < 2e-4);
    }
  }
}

TEST_CASE("turning a head back is the inverse of turning it") {
  const std::int64_t half = 9;
  std::vector<float> in = wave(2 * half, 0.8f), cosine(half), sine(half), out(in.size());
  for (std::int64_t i = 0; i < half; ++i) {
    cosine[i] = std::cos(0.3f * static_cast<float>(i));
    sine[i] = std::sin(0.3f * static_cast<float>(i));
  }
  rotate_row(in.data(), cosine.data(), sine.data(), 1.0f, 2.0f, out.data(), half);
  CHECK(out[1] == doctest::Approx(2 * (in[1] * cosine[1] - in[1 + half] * sine[1])));
  rotate_row(out.data(), cosine.data(), sine.data(), -1.0f, 0.5f, out.data(), half);
  for (std::size_t i = 0; i < in.size(); ++i) CHECK(out[i] == doctest::Approx(in[i]));
}

}  // namespace organ::test
