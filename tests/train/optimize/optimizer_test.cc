// SPDX-License-Identifier: Apache-2.0
#include "train/optimize/optimizer.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include <doctest/doctest.h>

#include "tests/train/support/few_threads.h"

namespace organ::train {
namespace {

// Buffers of one test, all of `size` elements.
struct Buffers {
  explicit Buffers(std::size_t size)
      : master(size), first(size), second(size), gradient(size), working(size) {}
  FlatParameters view() { return {master, first, second, gradient, working}; }
  std::vector<float> master, first, second, gradient;
  std::vector<std::uint16_t> working;
};

void fill(std::vector<float>& values, float step) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = std::sin(static_cast<float>(i) * step);
  }
}

}  // namespace

TEST_CASE("three AdamW steps equal torch.optim.AdamW") {
  // Oracle: torch 2.11 AdamW, lr 0.01, weight_decay 0.1 on the first four elements, 0 on the rest.
  const float expected[] = {0x1.e09002p-2f,  -0x1.375e6p+0f,  0x1.f74a9ap+0f,
                            -0x1.daa506p-6f, -0x1.70a3d8p-1f, 0x1.cp+1f};
  Buffers buffers(6);
  buffers.master = {0.5f, -1.25f, 2.0f, 1e-3f, -0.75f, 3.5f};
  const ParameterRun runs[] = {{0, 4, true}, {4, 2, false}};
  for (std::uint64_t t = 1; t <= 3; ++t) {
    const auto step = static_cast<float>(t);
    buffers.gradient = {0.1f * step, -0.2f, 0.3f / step, 1e-4f, -5.0f, 0.0f};
    adamw_step(buffers.view(), runs, {.weight_decay = 0.1}, 0.01, t, 1.0, 1);
  }
  for (std::size_t i = 0; i < 6; ++i) {
    CAPTURE(i);
    CHECK(buffers.master[i] == doctest::Approx(expected[i]).epsilon(1e-6));
    CHECK(buffers.gradient[i] == 0.0f);
  }
  CHECK(buffers.working[5] == 0x4060);  // 3.5 in bf16
}

TEST_CASE("an AdamW step gives the same bits with one and with three threads") {
  constexpr std::size_t kSize = 100'003;
  Buffers one(kSize), three(kSize);
  fill(one.master, 0.37f);
  three.master = one.master;
  const ParameterRun runs[] = {{0, 70'001, true}, {70'001, kSize - 70'001, false}};
  for (std::uint64_t t = 1; t <= 2; ++t) {
    fill(one.gradient, 0.11f * static_cast<float>(t));
    three.gradient = one.gradient;
    adamw_step(one.view(), runs, {}, 1e-3, t, 0.5, 1);
    adamw_step(three.view(), runs, {}, 1e-3, t, 0.5, 3);
  }
  CHECK(one.master == three.master);
  CHECK(one.first == three.first);
  CHECK(one.second == three.second);
  CHECK(one.working == three.working);
}

TEST_CASE("three steps of the average equal torch's") {
  // Oracle: torch 2.11 torch._foreach_lerp_(average, values, 1 - 0.9), as torch.optim.swa_utils.
  const float expected[] = {0x1.aeb1c6p-2f, -0x1.ee4f78p-1f, 0x1.817c1cp+0f, 0x1.8c6a06p-11f};
  std::vector<float> average = {0.5f, -1.25f, 2.0f, 1e-3f};
  for (int t = 1; t <= 3; ++t) {
    const auto step = static_cast<float>(t);
    const std::vector<float> values = {0.1f * step, -0.2f, 0.3f / step, 1e-4f};
    average_step(average, values, 0.9, 1);
  }
  for (std::size_t i = 0; i < average.size(); ++i) {
    CHECK(average[i] == doctest::Approx(expected[i]).epsilon(1e-6));
  }
  constexpr std::size_t kSize = 100'003;
  std::vector<float> values(kSize), one(kSize), three(kSize);
  fill(values, 0.37f);
  average_step(one, values, 0.5, 1);
  average_step(three, values, 0.5, 3);
  CHECK(one == three);
}

TEST_CASE("a step at rate 0 changes no bit of a number, its moments go on") {
  const std::vector<float> kept = {0.5f, -0.0f, 0.0f, 1e-40f, -1e-45f, -3e38f, 0x1.234567p-3f};
  Buffers buffers(kept.size());
  const ParameterRun runs[] = {{0, 4, true}, {4, 3, false}};
  for (const float sign : {1.0f, -1.0f}) {
    buffers.master = kept;
    for (std::size_t i = 0; i < kept.size(); ++i) buffers.gradient[i] = sign;
    adamw_step(buffers.view(), runs, {.weight_decay = 0.1}, 0, 1, 1.0, 1);
    for (std::size_t i = 0; i < kept.size(); ++i) {
      CAPTURE(i);
      CHECK(std::bit_cast<std::uint32_t>(buffers.master[i]) ==
            std::bit_cast<std::uint32_t>(kept[i]));
      CHECK(buffers.first[i] != 0.0f);
      CHECK(buffers.second[i] != 0.0f);
      CHECK(buffers.gradient[i] == 0.0f);
    }
  }
}

TEST_CASE("what no gradient asks to change keeps its bits at any rate, and so does its average") {
  const std::vector<float> kept = {0.5f, -0.0f, 0.0f, 1e-40f, -1e-45f, -3e38f, 0x1.234567p-3f};
  Buffers buffers(kept.size());
  buffers.master = kept;
  std::vector<float> average = kept;
  const ParameterRun runs[] = {{0, kept.size(), false}};
  for (std::uint64_t update = 1; update <= 3; ++update) {
    std::fill(buffers.gradient.begin(), buffers.gradient.end(), 0.0f);
    adamw_step(buffers.view(), runs, {}, 0.1, update, 0.3, 1);
    average_step(average, buffers.master, 0.9, 1);
  }
  for (std::size_t i = 0; i < kept.size(); ++i) {
    CAPTURE(i);
    const auto bits = std::bit_cast<std::uint32_t>(kept[i]);
    CHECK(std::bit_cast<std::uint32_t>(buffers.master[i]) == bits);
    CHECK(std::bit_cast<std::uint32_t>(average[i]) == bits);
  }
}

TEST_CASE("the average forgets what it started from, however short the run and high the limit") {
  // Oracle: (1 + t) / (10 + t) of t = 1, 2, 3 and 90, by hand.
  CHECK(ema_decay(0.999, 1) == doctest::Approx(2.0 / 11));
  CHECK(ema_decay(0.999, 2) == 0.25);
  CHECK(ema_decay(0.999, 3) == doctest::Approx(4.0 / 13));
  CHECK(ema_decay(0.999, 90) == doctest::Approx(0.91));
  CHECK(ema_decay(0.3, 2) == 0.25);
  CHECK(ema_decay(0.3, 3) == 0.3);
  CHECK(ema_decay(0.999, 1'000'000) == 0.999);
  for (const std::uint64_t updates : {20, 100, 1000}) {
    double left = 1;  // share of the untouched weights
    for (std::uint64_t t = 1; t <= updates; ++t) left *= ema_decay(0.9999, t);
    CHECK(left < 1e-6);
  }
}

TEST_CASE("the working copy keeps what bf16 holds, infinities and NaN") {
  Buffers buffers(5);
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  buffers.master = {1.0078125f, -2.0f, 0.0f, -kInfinity, std::numeric_limits<float>::quiet_NaN()};
  for (std::uint64_t update = 0; update < 100; ++update) {
    round_working(buffers.view(), update);
    CHECK(buffers.working[0] == 0x3f81);
    CHECK(buffers.working[1] == 0xc000);
    CHECK(buffers.working[2] == 0x0000);
    CHECK(buffers.working[3] == 0xff80);
    CHECK((buffers.working[4] & 0x7fc0) == 0x7fc0);
  }
}

TEST_CASE("the working copy is rounded up with the odds of the distance, anew in each update") {
  constexpr std::size_t kSize = 100'000;
  Buffers buffers(kSize);
  for (const double odds : {0.01, 0.25, 0.5, 0.9}) {
    std::fill(buffers.master.begin(), buffers.master.end(),
              static_cast<float>(-1.0 - odds / 128));  // bf16 has 128 steps between 1 and 2
    std::vector<std::uint16_t> last;
    for (const std::uint64_t update : {1, 2, 1000}) {
      round_working(buffers.view(), update);
      const auto up = std::count(buffers.working.begin(), buffers.working.end(), 0xbf81);
      const auto down = std::count(buffers.working.begin(), buffers.working.end(), 0xbf80);
      CHECK(up + down == kSize);
      // Five standard deviations of a binomial count.
      CHECK(std::abs(static_cast<double>(up) - odds * kSize) <
            5 * std::sqrt(odds * (1 - odds) * kSize));
      CHECK(buffers.working != last);
      last = buffers.working;
    }
    round_working(buffers.view(), 1000);
    CHECK(buffers.working == last);
  }
}

TEST_CASE("the global norm sees every element and every value that is not finite") {
  std::vector<float> values(50'001, 2.0f);
  CHECK(global_norm(values, 1) == doctest::Approx(2 * std::sqrt(50'001.0)));
  values.back() = std::numeric_limits<float>::infinity();
  CHECK_FALSE(std::isfinite(global_norm(values, 1)));
  values.back() = std::numeric_limits<float>::quiet_NaN();
  CHECK_FALSE(std::isfinite(global_norm(values, 1)));
}

TEST_CASE("the global norm has the same bits on any number of threads") {
  std::vector<float> values(300'001);
  std::mt19937 dice(7);
  std::normal_distribution<float> normal(0, 1e-3f);
  for (float& value : values) value = normal(dice);
  for (const std::size_t size : {0u, 1u, 7u, 16'384u, 16'385u, 300'001u}) {
    const std::span<const float> some(values.data(), size);
    for (const unsigned threads : {0u, 2u, 3u, 64u}) {
      CAPTURE(size);
      CAPTURE(threads);
      CHECK(global_norm(some, threads) == global_norm(some, 1));
    }
  }
}

TEST_CASE("what the system gives no thread for is done all the same, to the bit") {
  constexpr std::size_t kSize = 100'003;
  const auto stepped = [] {
    Buffers buffers(kSize);
    fill(buffers.master, 0.1f);
    fill(buffers.gradient, 0.3f);
    const ParameterRun run{.offset = 0, .elements = kSize, .decay = true};
    adamw_step(buffers.view(), {&run, 1}, {}, 1e-3, 1, 1, 4);
    return buffers.master;
  };
  const std::vector<float> expected = stepped();
  const double norm = global_norm(expected, 4);
  for (const unsigned most : {1u, 2u, 3u}) {
    const auto same = test::with_few_threads(
        most, [&] { return stepped() == expected && global_norm(expected, 4) == norm; });
    CHECK(same.value_or(true));
  }
}

TEST_CASE("clipping scales long gradients only") {
  CHECK(clip_factor(0.5, 1.0) == 1.0);
  CHECK(clip_factor(4.0, 1.0) == doctest::Approx(0.25));
  CHECK(clip_factor(4.0, 0) == 1.0);
}

}  // namespace organ::train
