// SPDX-License-Identifier: Apache-2.0
// What the row kernels are made of. Included only by their source files: what is here is inlined
// into each instruction-set version of a kernel.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "train/kernels/rows.h"

// The loops live in always-inlined templates; the public functions below are compiled once per
// instruction set and the templates are inlined into each version. The loader takes the best
// version that the processor can run: AVX-512, AVX2 or the compiler's default. Vectors of another
// width add in another order, so that sums may differ in their last bits between versions; never
// between numbers of threads.
#define ORGAN_VERSIONS __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#define ORGAN_INLINE inline __attribute__((always_inline))

namespace organ::train::kernels {

// An element as a float, exact.
ORGAN_INLINE float load(float value) { return value; }
ORGAN_INLINE float load(Bf16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}

// A float as an element: of bf16 the nearest, ties to even. What is too large becomes infinite, NaN
// a quiet NaN.
ORGAN_INLINE void store(float& place, float value) { place = value; }
ORGAN_INLINE void store(Bf16& place, float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const std::uint32_t quiet_nan = (bits >> 16) | 0x40u;
  const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
  place.bits = static_cast<std::uint16_t>(nan ? quiet_nan : rounded);
}

// The value as the element type holds it.
ORGAN_INLINE float rounded_as(float value, const float*) { return value; }
ORGAN_INLINE float rounded_as(float value, const Bf16*) {
  Bf16 stored;
  store(stored, value);
  return load(stored);
}

// x between -88 and 88, NaN stays NaN. In integers and without a choice: of a comparison GCC makes
// three paths and computes what follows in each of them.
ORGAN_INLINE float at_most_88(float x) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t magnitude = bits & 0x7fffffffu, limit = std::bit_cast<std::uint32_t>(88.0f);
  const std::uint32_t beyond =
      0u - static_cast<std::uint32_t>((magnitude > limit) & (magnitude <= 0x7f800000u));
  return std::bit_cast<float>((bits & 0x80000000u) | (limit & beyond) | (magnitude & ~beyond));
}

// e^x, relative error below 2e-7 between -87 and 88; what lies beyond gives 0 or e^88.
// Cody-Waite reduction and the polynomial of Cephes' expf; the nearest integer by the "magic
// number" addition, which every instruction set has.
ORGAN_INLINE float fast_exp(float x) {
  x = at_most_88(x);
  constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: the integer lands in the low bits
  const float shifted = x * 1.44269504088896341f + kMagic;
  const float k = shifted - kMagic;
  const float r = (x - k * 0.693359375f) + k * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const std::uint32_t exponent = (std::bit_cast<std::uint32_t>(shifted) + 127u) << 23;
  return p * std::bit_cast<float>(exponent);
}

// 1 / (1 + e^-x). Below -88 it stays what it is there, about 6e-39, and is not 0.
ORGAN_INLINE float sigmoid(float x) { return 1.0f / (1.0f + fast_exp(-x)); }

// y[i] = x[i] as its type holds it; the arrays of n elements do not overlap.
template <typename From, typename To>
ORGAN_INLINE void convert(const From* x, To* y, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) store(y[i], load(x[i]));
}

// sum of a[i] * b[i], products and sum in fp32. 0 for n = 0.
template <typename A, typename B>
ORGAN_INLINE float dot_product(const A* a, const B* b, std::int64_t n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i) sum += load(a[i]) * load(b[i]);
  return sum;
}

}  // namespace organ::train::kernels
