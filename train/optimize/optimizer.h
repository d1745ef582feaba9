// SPDX-License-Identifier: Apache-2.0
// AdamW (arXiv 1711.05101, as torch.optim.AdamW writes it) over flat buffers: one fused pass per
// step. Results do not depend on the number of threads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "train/optimize/adamw_options.h"

namespace organ::train {

// A stretch of the flat buffers with one decay rule.
struct ParameterRun {
  std::size_t offset = 0;
  std::size_t elements = 0;
  bool decay = true;
};

// The buffers of all trained parameters, borrowed, of equal length. `working` is the bf16 copy
// forward reads; it is empty in fp32, where forward reads `master` itself.
struct FlatParameters {
  std::span<float> master;
  std::span<float> first_moment;
  std::span<float> second_moment;
  std::span<float> gradient;
  std::span<std::uint16_t> working;
};

// Euclidean norm, summed in double in a fixed order, the same on any number of threads. Not finite
// when any element is not.
double global_norm(std::span<const float> values, unsigned threads);

// min(1, limit / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_; 1 when limit is 0.
double clip_factor(double norm, double limit);

// Makes `working` from master by stochastic rounding: up or down with the odds of the distance.
// Rounding to nearest would drop every update smaller than half a bf16 step, which at usual rates
// is most of the first ones. The dice depend on the element's index and on `update` alone, so a
// resumed run rounds as the straight one did. A master that bf16 holds exactly is copied.
void round_working(const FlatParameters& parameters, std::uint64_t update);

// One update with gradient * gradient_scale: p -= rate * decay * p, then
// p -= rate * m_hat / (sqrt(v_hat) + epsilon). `update` counts from 1 (bias correction). The
// gradient is zero afterwards and `working` as round_working leaves it. The runs must tile the
// buffers. At rate 0 only the moments change, and a number whose gradients were all zero keeps its
// bits where it does not decay.
void adamw_step(const FlatParameters& parameters, std::span<const ParameterRun> runs,
                const AdamWOptions& options, double rate, std::uint64_t update,
                double gradient_scale, unsigned threads);

// Decay of the moving average at update number `update`, counted from 1: min(limit, (1 + t) /
// (10 + t)), as in TensorFlow's tf.train.ExponentialMovingAverage with num_updates. Without this
// warm-up a run much shorter than 1 / (1 - limit) updates would mostly publish what it started
// from.
double ema_decay(double limit, std::uint64_t update);

// average += (1 - decay) * (values - average): the exponential moving average of weights. What
// equals its value keeps its bits.
void average_step(std::span<float> average, std::span<const float> values, double decay,
                  unsigned threads);

}  // namespace organ::train
