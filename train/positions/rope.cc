// SPDX-License-Identifier: Apache-2.0
#include "train/positions/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "train/kernels/elementwise.h"

namespace organ::train {
namespace {

constexpr double kTurn = 2 * std::numbers::pi;

// theta^(-2i/d); transformers computes in fp32 from here on, and so do the tables.
float plain_frequency(double theta, std::int64_t pair, std::int64_t head_size) {
  const float exponent = static_cast<float>(2 * pair) / static_cast<float>(head_size);
  return 1.0f / std::pow(static_cast<float>(theta), exponent);
}

// Long wavelengths are slowed down by `factor`, short ones kept, those between blended.
float llama3_frequency(const format::RopeScaling& s, float frequency) {
  const double wavelength = kTurn / frequency;
  const auto original = static_cast<double>(s.original_max_positions);
  if (wavelength > original / s.low_freq_factor) return static_cast<float>(frequency / s.factor);
  if (wavelength < original / s.high_freq_factor) return frequency;
  const double smooth =
      (original / wavelength - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
  return static_cast<float>((1 - smooth) * frequency / s.factor + smooth * frequency);
}

// arXiv 2309.00071: pairs that turn fewer than beta_slow times in the original context are slowed
// down, those above beta_fast kept, a linear ramp over the pair index between.
class YarnRamp {
 public:
  explicit YarnRamp(const RopeScheme& scheme) {
    low_ = pair_of_turns(scheme, scheme.scaling.beta_fast);
    high_ = pair_of_turns(scheme, scheme.scaling.beta_slow);
    if (scheme.scaling.truncate) {
      low_ = std::floor(low_);
      high_ = std::ceil(high_);
    }
    low_ = std::max(low_, 0.0);
    high_ = std::min(high_, static_cast<double>(scheme.head_size - 1));
    if (low_ == high_) high_ += 0.001;
  }
  double slowed_share(std::int64_t pair) const {
    return std::clamp((static_cast<double>(pair) - low_) / (high_ - low_), 0.0, 1.0);
  }

 private:
  static double pair_of_turns(const RopeScheme& scheme, double turns) {
    const auto original = static_cast<double>(scheme.scaling.original_max_positions);
    return static_cast<double>(scheme.head_size) * std::log(original / (turns * kTurn)) /
           (2 * std::log(scheme.theta));
  }
  double low_ = 0, high_ = 0;
};

// NTK-aware scaling grows theta once the sequence is longer than the model was trained for.
double dynamic_theta(const RopeScheme& scheme, std::int64_t length) {
  const auto original = static_cast<double>(scheme.scaling.original_max_positions);
  const double t = std::max(static_cast<double>(length), original);
  const auto d = static_cast<double>(scheme.head_size);
  const double factor = scheme.scaling.factor;
  return scheme.theta * std::pow(factor * t / original - (factor - 1), d / (d - 2));
}

// The share of `mscale` that yarn gives attention at a scaling factor.
double yarn_mscale(double factor, double mscale) {
  return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

}  // namespace

double rope_attention_factor(const format::RopeScaling& scaling) {
  if (scaling.kind != "yarn") return 1;
  if (scaling.attention_factor != 0) return scaling.attention_factor;
  if (scaling.mscale != 0) {
    return yarn_mscale(scaling.factor, scaling.mscale) /
           yarn_mscale(scaling.factor, scaling.mscale_all_dim);
  }
  return yarn_mscale(scaling.factor, 1);
}

std::vector<float> rope_frequencies(const RopeScheme& scheme, std::int64_t length) {
  const format::RopeScaling& scaling = scheme.scaling;
  const double theta = scaling.kind == "dynamic" ? dynamic_theta(scheme, length) : scheme.theta;
  std::vector<float> frequencies(static_cast<std::size_t>(scheme.head_size / 2));
  for (std::int64_t pair = 0; pair < scheme.head_size / 2; ++pair) {
    float frequency = plain_frequency(theta, pair, scheme.head_size);
    if (scaling.kind == "linear") frequency /= static_cast<float>(scaling.factor);
    if (scaling.kind == "llama3") frequency = llama3_frequency(scaling, frequency);
    if (scaling.kind == "yarn") {
      const double slowed = YarnRamp(scheme).slowed_share(pair);
      frequency = static_cast<float>(frequency * (slowed / scaling.factor + (1 - slowed)));
    }
    frequencies[static_cast<std::size_t>(pair)] = frequency;
  }
  return frequencies;
}

RopeTables::RopeTables(RopeScheme scheme, at::Device device)
    : scheme_(std::move(scheme)), device_(device) {}

bool RopeTables::depends_on(std::int64_t length) const {
  return scheme_.scaling.kind == "dynamic" &&
         length > static_cast<std::int64_t>(scheme_.scaling.original_max_positions);
}

void RopeTables::prepare(std::int64_t length) {
  const bool same = depends_on(length) ? length == length_ : !depends_on(length_);
  if (same && length <= length_) return;
  // Decoding adds a position at a time: twice as many are made then.
  if (length_ > 0 && !depends_on(2 * length_) && length == length_ + 1) length = 2 * length_;
  const std::vector<float> frequencies = rope_frequencies(scheme_, length);
  const auto pairs = static_cast<std::int64_t>(frequencies.size());
  const at::Tensor cosine = kernels::empty({length, pairs}, at::kFloat);
  const at::Tensor sine = kernels::empty({length, pairs}, at::kFloat);
  const auto factor = static_cast<float>(rope_attention_factor(scheme_.scaling));
  for (std::int64_t i = 0; i < length * pairs; ++i) {
    const std::int64_t position = i / pairs;
    const float angle = static_cast<float>(position) * frequencies[i % pairs];
    cosine.mutable_data_ptr<float>()[i] = std::cos(angle) * factor;
    sine.mutable_data_ptr<float>()[i] = std::sin(angle) * factor;
  }
  cosine_ = cosine.to(device_);
  sine_ = sine.to(device_);
  length_ = length;
}

}  // namespace organ::train
