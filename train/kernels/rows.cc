// SPDX-License-Identifier: Apache-2.0
#include "train/kernels/rows.h"

#include <bit>
#include <cmath>
#include <cstring>

// The loops live in always-inlined templates; the public functions below are compiled once per
// instruction set and the templates are inlined into each version.
#define ORGAN_VERSIONS __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#define ORGAN_INLINE inline __attribute__((always_inline))

namespace organ::train::kernels {
namespace {

ORGAN_INLINE float load(float value) { return value; }
ORGAN_INLINE float load(Bf16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}

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

// e^x, relative error below 2e-7, for x <= 88 (callers pass differences to a maximum, or clamp).
// Cody-Waite reduction and the polynomial of Cephes' expf; the nearest integer by the "magic
// number" addition, which every instruction set has.
ORGAN_INLINE float fast_exp(float x) {
  x = x < -87.0f ? -87.0f : (x > 88.0f ? 88.0f : x);
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

ORGAN_INLINE float sigmoid(float x) { return 1.0f / (1.0f + fast_exp(-x)); }

template <typename From, typename To>
ORGAN_INLINE void convert(const From* x, To* y, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) store(y[i], load(x[i]));
}

template <typename T>
ORGAN_INLINE void add(const float* x, const T* delta, float* y, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) y[i] = x[i] + load(delta[i]);
}

template <typename In, typename T>
ORGAN_INLINE float rms_norm(const In* x, const float* gamma, float epsilon, T* unit, T* out,
                            std::int64_t n) {
  float squares = 0;
#pragma omp simd reduction(+ : squares)
  for (std::int64_t i = 0; i < n; ++i) squares += load(x[i]) * load(x[i]);
  const float rstd = 1.0f / std::sqrt(squares / static_cast<float>(n) + epsilon);
  if (unit != nullptr) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      const float u = rounded_as(load(x[i]) * rstd, out);
      store(unit[i], u);
      store(out[i], u * gamma[i]);
    }
  } else {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      store(out[i], rounded_as(load(x[i]) * rstd, out) * gamma[i]);
    }
  }
  return rstd;
}

template <typename T, typename Out>
ORGAN_INLINE void rms_norm_backward(const T* dout, const T* unit, float rstd, const float* gamma,
                                    const float* base, Out* dx, std::int64_t n) {
  float dot = 0;
#pragma omp simd reduction(+ : dot)
  for (std::int64_t i = 0; i < n; ++i) dot += load(dout[i]) * gamma[i] * load(unit[i]);
  const float mean = dot / static_cast<float>(n);
  if (base != nullptr) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      store(dx[i], base[i] + rstd * (load(dout[i]) * gamma[i] - load(unit[i]) * mean));
    }
  } else {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      store(dx[i], rstd * (load(dout[i]) * gamma[i] - load(unit[i]) * mean));
    }
  }
}

template <typename T>
ORGAN_INLINE void scale(const T* unit, const float* gamma, T* out, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) store(out[i], load(unit[i]) * gamma[i]);
}

template <typename T>
ORGAN_INLINE void accumulate_product(const T* a, const T* b, float* sum, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) sum[i] += load(a[i]) * load(b[i]);
}

template <typename T>
ORGAN_INLINE void accumulate(const T* a, float* sum, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) sum[i] += load(a[i]);
}

template <typename T>
ORGAN_INLINE void swiglu(const T* gate, const T* up, T* out, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const float g = load(gate[i]);
    store(out[i], rounded_as(g * sigmoid(g), out) * load(up[i]));
  }
}

template <typename T>
ORGAN_INLINE void swiglu_backward(T* gate, T* up, const T* dout, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const float g = load(gate[i]), u = load(up[i]), d = load(dout[i]), s = sigmoid(g);
    store(up[i], d * g * s);
    store(gate[i], d * u * s * (1.0f + g * (1.0f - s)));
  }
}

template <typename T>
ORGAN_INLINE void rotate(const T* in, const float* cosine, const float* sine, float direction,
                         float scale, T* out, std::int64_t half) {
#pragma omp simd
  for (std::int64_t i = 0; i < half; ++i) {
    const float a = load(in[i]), b = load(in[i + half]), s = sine[i] * direction;
    store(out[i], (a * cosine[i] - b * s) * scale);
    store(out[i + half], (b * cosine[i] + a * s) * scale);
  }
}

template <typename T>
ORGAN_INLINE float maximum(const T* row, std::int64_t n) {
  float top = -3.4e38f;
#pragma omp simd reduction(max : top)
  for (std::int64_t i = 0; i < n; ++i) {
    const float value = load(row[i]);
    top = value > top ? value : top;
  }
  return top;
}

// weights[i] = e^(row[i] - top); returns their sum.
template <typename T>
ORGAN_INLINE float exponentials(const T* row, float top, float* weights, std::int64_t n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i) {
    const float weight = fast_exp(load(row[i]) - top);
    weights[i] = weight;
    sum += weight;
  }
  return sum;
}

template <typename T>
ORGAN_INLINE void store_scaled(const float* weights, float factor, T* row, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) store(row[i], weights[i] * factor);
}

template <typename T>
ORGAN_INLINE void zero_outside(T* row, std::int64_t first, std::int64_t last, std::int64_t n) {
  std::memset(row, 0, static_cast<std::size_t>(first) * sizeof(T));
  std::memset(row + last, 0, static_cast<std::size_t>(n - last) * sizeof(T));
}

template <typename T>
ORGAN_INLINE void softmax(T* row, std::int64_t first, std::int64_t last, std::int64_t n,
                          float* scratch) {
  const std::int64_t count = last - first;
  const float top = maximum(row + first, count);
  const float sum = exponentials(row + first, top, scratch, count);
  store_scaled(scratch, 1.0f / sum, row + first, count);
  zero_outside(row, first, last, n);
}

template <typename T>
ORGAN_INLINE void softmax_backward(T* dp, const T* p, std::int64_t first, std::int64_t last,
                                   std::int64_t n) {
  float dot = 0;
#pragma omp simd reduction(+ : dot)
  for (std::int64_t i = first; i < last; ++i) dot += load(dp[i]) * load(p[i]);
#pragma omp simd
  for (std::int64_t i = first; i < last; ++i) store(dp[i], load(p[i]) * (load(dp[i]) - dot));
  zero_outside(dp, first, last, n);
}

template <typename T>
ORGAN_INLINE double cross_entropy(T* row, std::int64_t target, std::int64_t n, bool gradient,
                                  float* scratch) {
  const float top = maximum(row, n);
  const float sum = exponentials(row, top, scratch, n);
  const double score = load(row[target]);
  if (gradient) {
    store_scaled(scratch, 1.0f / sum, row, n);
    store(row[target], scratch[target] / sum - 1.0f);
  }
  return std::log(static_cast<double>(sum)) + static_cast<double>(top) - score;
}

}  // namespace

ORGAN_VERSIONS void convert_row(const float* x, Bf16* y, std::int64_t n) { convert(x, y, n); }
ORGAN_VERSIONS void convert_row(const Bf16* x, float* y, std::int64_t n) { convert(x, y, n); }
void convert_row(const float* x, float* y, std::int64_t n) {
  std::memcpy(y, x, static_cast<std::size_t>(n) * sizeof(float));
}

ORGAN_VERSIONS void add_row(const float* x, const float* delta, float* y, std::int64_t n) {
  add(x, delta, y, n);
}
ORGAN_VERSIONS void add_row(const float* x, const Bf16* delta, float* y, std::int64_t n) {
  add(x, delta, y, n);
}

ORGAN_VERSIONS float rms_norm_row(const float* x, const float* gamma, float epsilon, float* unit,
                                  float* out, std::int64_t n) {
  return rms_norm(x, gamma, epsilon, unit, out, n);
}
ORGAN_VERSIONS float rms_norm_row(const float* x, const float* gamma, float epsilon, Bf16* unit,
                                  Bf16* out, std::int64_t n) {
  return rms_norm(x, gamma, epsilon, unit, out, n);
}
ORGAN_VERSIONS float rms_norm_row(const Bf16* x, const float* gamma, float epsilon, Bf16* unit,
                                  Bf16* out, std::int64_t n) {
  return rms_norm(x, gamma, epsilon, unit, out, n);
}

ORGAN_VERSIONS void rms_norm_backward_row(const float* dout, const float* unit, float rstd,
                                          const float* gamma, const float* base, float* dx,
                                          std::int64_t n) {
  rms_norm_backward(dout, unit, rstd, gamma, base, dx, n);
}
ORGAN_VERSIONS void rms_norm_backward_row(const Bf16* dout, const Bf16* unit, float rstd,
                                          const float* gamma, const float* base, float* dx,
                                          std::int64_t n) {
  rms_norm_backward(dout, unit, rstd, gamma, base, dx, n);
}
ORGAN_VERSIONS void rms_norm_backward_row(const Bf16* dout, const Bf16* unit, float rstd,
                                          const float* gamma, const float* base, Bf16* dx,
                                          std::int64_t n) {
  rms_norm_backward(dout, unit, rstd, gamma, base, dx, n);
}

ORGAN_VERSIONS void scale_row(const float* unit, const float* gamma, float* out, std::int64_t n) {
  scale(unit, gamma, out, n);
}
ORGAN_VERSIONS void scale_row(const Bf16* unit, const float* gamma, Bf16* out, std::int64_t n) {
  scale(unit, gamma, out, n);
}
ORGAN_VERSIONS void accumulate_product_row(const float* a, const float* b, float* sum,
                                           std::int64_t n) {
  accumulate_product(a, b, sum, n);
}
ORGAN_VERSIONS void accumulate_product_row(const Bf16* a, const Bf16* b, float* sum,
                                           std::int64_t n) {
  accumulate_product(a, b, sum, n);
}
ORGAN_VERSIONS void accumulate_row(const float* a, float* sum, std::int64_t n) {
  accumulate(a, sum, n);
}
ORGAN_VERSIONS void accumulate_row(const Bf16* a, float* sum, std::int64_t n) {
  accumulate(a, sum, n);
}

ORGAN_VERSIONS void swiglu_row(const float* gate, const float* up, float* out, std::int64_t n) {
  swiglu(gate, up, out, n);
}
ORGAN_VERSIONS void swiglu_row(const Bf16* gate, const Bf16* up, Bf16* out, std::int64_t n) {
  swiglu(gate, up, out, n);
}
ORGAN_VERSIONS void swiglu_backward_row(float* gate, float* up, const float* dout, std::int64_t n) {
  swiglu_backward(gate, up, dout, n);
}
ORGAN_VERSIONS void swiglu_backward_row(Bf16* gate, Bf16* up, const Bf16* dout, std::int64_t n) {
  swiglu_backward(gate, up, dout, n);
}

ORGAN_VERSIONS void rotate_row(const float* in, const float* cosine, const float* sine,
                               float direction, float scale, float* out, std::int64_t half) {
  rotate(in, cosine, sine, direction, scale, out, half);
}
ORGAN_VERSIONS void rotate_row(const Bf16* in, const float* cosine, const float* sine,
                               float direction, float scale, Bf16* out, std::int64_t half) {
  rotate(in, cosine, sine, direction, scale, out, half);
}

ORGAN_VERSIONS void softmax_row(float* row, std::int64_t first, std::int64_t last, std::int64_t n,
                                float* scratch) {
  softmax(row, first, last, n, scratch);
}
ORGAN_VERSIONS void softmax_row(Bf16* row, std::int64_t first, std::int64_t last, std::int64_t n,
                                float* scratch) {
  softmax(row, first, last, n, scratch);
}
ORGAN_VERSIONS void softmax_backward_row(float* dp, const float* p, std::int64_t first,
                                         std::int64_t last, std::int64_t n) {
  softmax_backward(dp, p, first, last, n);
}
ORGAN_VERSIONS void softmax_backward_row(Bf16* dp, const Bf16* p, std::int64_t first,
                                         std::int64_t last, std::int64_t n) {
  softmax_backward(dp, p, first, last, n);
}

ORGAN_VERSIONS double cross_entropy_row(float* row, std::int64_t target, std::int64_t n,
                                        bool gradient, float* scratch) {
  return cross_entropy(row, target, n, gradient, scratch);
}
ORGAN_VERSIONS double cross_entropy_row(Bf16* row, std::int64_t target, std::int64_t n,
                                        bool gradient, float* scratch) {
  return cross_entropy(row, target, n, gradient, scratch);
}

}  // namespace organ::train::kernels
