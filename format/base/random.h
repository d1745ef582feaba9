// SPDX-License-Identifier: Apache-2.0
// Pseudo-random numbers whose whole state is one number, so that an order or an initialisation
// needs no stored generator. The same seed gives the same numbers everywhere.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

namespace organ {

// SplitMix64 (Steele, Lea, Flood 2014): period 2^64, any state is a good seed. No secret comes of
// it: one number tells all that follow. Not thread-safe.
class SplitMix64 {
 public:
  explicit SplitMix64(std::uint64_t state) : state_(state) {}

  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15u;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  // Uniform in [0, bound), without modulo bias; `bound` is 1 or more. Takes one number or, rarely,
  // several.
  std::uint64_t below(std::uint64_t bound) {
    const std::uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
    std::uint64_t value = next();
    while (value >= limit) value = next();
    return value % bound;
  }

  // Uniform in [0, 1): multiples of 2^-53. Takes one number.
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }

  // Standard normal (Box and Muller 1958), one of the pair: takes two numbers. Its last bits are
  // those of the math library.
  double normal() {
    const double radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }

 private:
  std::uint64_t state_;
};

}  // namespace organ
