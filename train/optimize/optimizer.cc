// SPDX-License-Identifier: Apache-2.0
#include "train/optimize/optimizer.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "format/base/fail.h"
#include "format/base/try_thread.h"

namespace organ::train {
namespace {

// Everything about a step that is the same for each element.
struct StepConstants {
  float beta1, one_minus_beta1, beta2, one_minus_beta2, epsilon;
  float keep;       // 1 - rate * weight_decay
  float step_size;  // rate / (1 - beta1^t)
  float root_bias;  // 1 / sqrt(1 - beta2^t)
  float gradient_scale;
  bool moves;  // rate > 0
};

// 32 well mixed bits of a counter (Wellons' lowbias32 constants).
std::uint32_t mix(std::uint32_t x) {
  x = (x ^ (x >> 16)) * 0x21f0aaadu;
  x = (x ^ (x >> 15)) * 0x735a2d97u;
  return x ^ (x >> 15);
}

// Up or down with the odds of the distance: the mean is the value, and a value that bf16 holds
// stays itself. Infinities and NaN are kept.
std::uint16_t to_bf16(float value, std::uint32_t dice) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + (dice & 0xffffu)) >> 16;
  const std::uint32_t kept = (bits >> 16) | ((bits & 0xffffu) != 0 ? 0x40u : 0u);
  return static_cast<std::uint16_t>((bits & 0x7f800000u) == 0x7f800000u ? kept : rounded);
}

// A loop that must vectorise on any x86-64: one clone per instruction set, chosen at load.
#define ORGAN_VECTOR_LOOP \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))

// Raw pointers: the loops must be provably free of aliasing.
ORGAN_VECTOR_LOOP void update_range(float* __restrict master, float* __restrict first,
                                    float* __restrict second, float* __restrict gradient,
                                    std::size_t count, StepConstants c) {
  for (std::size_t i = 0; i < count; ++i) {
    const float g = gradient[i] * c.gradient_scale;
    const float m = c.beta1 * first[i] + c.one_minus_beta1 * g;
    const float v = c.beta2 * second[i] + c.one_minus_beta2 * g * g;
    const float denominator = std::sqrt(v) * c.root_bias + c.epsilon;
    first[i] = m;
    second[i] = v;
    // At rate 0 the difference would still take the sign from a zero.
    if (c.moves) master[i] = master[i] * c.keep - c.step_size * m / denominator;
    gradient[i] = 0;
  }
}

// `first` is the index of master[0] in the whole buffer, so that blocks do not show.
ORGAN_VECTOR_LOOP void round_range(const float* __restrict master,
                                   std::uint16_t* __restrict working, std::size_t count,
                                   std::uint32_t first, std::uint32_t salt) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t index = first + static_cast<std::uint32_t>(i);
    working[i] = to_bf16(master[i], mix(index ^ salt));
  }
}

ORGAN_VECTOR_LOOP void average_range(float* __restrict average, const float* __restrict values,
                                     std::size_t count, float share) {
  for (std::size_t i = 0; i < count; ++i) {
    const float difference = values[i] - average[i];
    const float moved = average[i] + share * difference;
    average[i] = difference != 0 ? moved : average[i];  // a sum would take the sign from a zero
  }
}

// Blocks that stay in cache between the update and the rounding of the working copy.
constexpr std::size_t kBlock = 16384;

void round_block(const FlatParameters& p, std::size_t at, std::size_t count, std::uint64_t update) {
  round_range(p.master.data() + at, p.working.data() + at, count, static_cast<std::uint32_t>(at),
              mix(static_cast<std::uint32_t>(update)));
}

void update_run(const FlatParameters& p, std::size_t begin, std::size_t end,
                const StepConstants& constants, std::uint64_t update) {
  for (std::size_t at = begin; at < end; at += kBlock) {
    const std::size_t count = std::min(kBlock, end - at);
    update_range(p.master.data() + at, p.first_moment.data() + at, p.second_moment.data() + at,
                 p.gradient.data() + at, count, constants);
    if (!p.working.empty()) round_block(p, at, count, update);
  }
}

StepConstants constants_of(const AdamWOptions& options, double rate, double t, double decay,
                           double gradient_scale) {
  return {.beta1 = static_cast<float>(options.beta1),
          .one_minus_beta1 = static_cast<float>(1 - options.beta1),
          .beta2 = static_cast<float>(options.beta2),
          .one_minus_beta2 = static_cast<float>(1 - options.beta2),
          .epsilon = static_cast<float>(options.epsilon),
          .keep = static_cast<float>(1 - rate * decay),
          .step_size = static_cast<float>(rate / (1 - std::pow(options.beta1, t))),
          .root_bias = static_cast<float>(1 / std::sqrt(1 - std::pow(options.beta2, t))),
          .gradient_scale = static_cast<float>(gradient_scale),
          .moves = rate > 0};
}

void check_buffers(const FlatParameters& p) {
  const std::size_t n = p.master.size();
  check(p.first_moment.size() == n && p.second_moment.size() == n && p.gradient.size() == n &&
            (p.working.empty() || p.working.size() == n),
        "optimiser buffers of one length");
}

// Calls work(begin, end) for `threads` stretches of whole blocks; what the system gives no thread
// for is done here.
template <typename Work>
void share_blocks(std::size_t size, unsigned threads, Work work) {
  const std::size_t share = (size / std::max(1u, threads) / kBlock + 1) * kBlock;
  std::vector<std::optional<std::jthread>> others;
  std::size_t end = std::min(size, share);
  for (; end < size; end = std::min(size, end + share)) {
    auto other = try_thread([work, end, last = std::min(size, end + share)] { work(end, last); });
    if (!other) break;
    others.push_back(std::move(other));
  }
  work(std::size_t{0}, std::min(size, share));
  if (end < size) work(end, size);
}

// Eight lanes per block and blocks in order: one fixed summation tree, still vectorisable, and the
// same for any number of threads.
using Lanes = std::array<double, 8>;

Lanes squares(std::span<const float> block) {
  Lanes lanes = {};
  std::size_t i = 0;
  for (; i + lanes.size() <= block.size(); i += lanes.size()) {
    for (std::size_t lane = 0; lane < lanes.size(); ++lane) {
      const double value = block[i + lane];
      lanes[lane] += value * value;
    }
  }
  for (; i < block.size(); ++i) lanes[0] += static_cast<double>(block[i]) * block[i];
  return lanes;
}

}  // namespace

double global_norm(std::span<const float> values, unsigned threads) {
  std::vector<Lanes> blocks((values.size() + kBlock - 1) / kBlock);
  share_blocks(values.size(), threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t start = begin; start < end; start += kBlock) {
      blocks[start / kBlock] = squares(values.subspan(start, std::min(kBlock, end - start)));
    }
  });
  double total = 0;
  for (const Lanes& lanes : blocks) {
    for (const double lane : lanes) total += lane;
  }
  return std::sqrt(total);
}

double clip_factor(double norm, double limit) {
  return limit > 0 ? std::min(1.0, limit / (norm + 1e-6)) : 1.0;
}

void round_working(const FlatParameters& parameters, std::uint64_t update) {
  check_buffers(parameters);
  if (!parameters.working.empty()) round_block(parameters, 0, parameters.master.size(), update);
}

void adamw_step(const FlatParameters& parameters, std::span<const ParameterRun> runs,
                const AdamWOptions& options, double rate, std::uint64_t update,
                double gradient_scale, unsigned threads) {
  check_buffers(parameters);
  const auto t = static_cast<double>(update);
  const auto with_decay = constants_of(options, rate, t, options.weight_decay, gradient_scale);
  const auto without = constants_of(options, rate, t, 0, gradient_scale);
  const auto work = [&](std::size_t begin, std::size_t end) {
    for (const auto& run : runs) {
      const std::size_t first = std::max(begin, run.offset);
      const std::size_t last = std::min(end, run.offset + run.elements);
      if (first < last) {
        update_run(parameters, first, last, run.decay ? with_decay : without, update);
      }
    }
  };
  share_blocks(parameters.master.size(), threads, work);
}

double ema_decay(double limit, std::uint64_t update) {
  const auto t = static_cast<double>(update);
  return std::min(limit, (1 + t) / (10 + t));
}

void average_step(std::span<float> average, std::span<const float> values, double decay,
                  unsigned threads) {
  check(average.size() == values.size(), "an average as long as its values");
  const auto share = static_cast<float>(1 - decay);
  share_blocks(average.size(), threads, [&](std::size_t begin, std::size_t end) {
    average_range(average.data() + begin, values.data() + begin, end - begin, share);
  });
}

}  // namespace organ::train
