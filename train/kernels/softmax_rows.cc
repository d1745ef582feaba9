// SPDX-License-Identifier: Apache-2.0
#include "train/kernels/rows.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "train/kernels/internal/row_math.h"

namespace organ::train::kernels {
namespace {

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
ORGAN_INLINE float softmax(T* row, std::int64_t first, std::int64_t last, std::int64_t n,
                           float sink, float* scratch) {
  const std::int64_t count = last - first;
  const bool has_sink = sink != -std::numeric_limits<float>::infinity();
  float top = maximum(row + first, count);
  if (has_sink && sink > top) top = sink;
  const float share = has_sink ? fast_exp(sink - top) : 0.0f;
  const float scale = 1.0f / (exponentials(row + first, top, scratch, count) + share);
  store_scaled(scratch, scale, row + first, count);
  zero_outside(row, first, last, n);
  return share * scale;
}

template <typename T>
ORGAN_INLINE void biased_softmax(T* row, const float* bias, std::int64_t first, std::int64_t last,
                                 std::int64_t n, float* scratch) {
  const std::int64_t count = last - first;
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) scratch[i] = load(row[first + i]) + bias[first + i];
  const float sum = exponentials(scratch, maximum(scratch, count), scratch, count);
  store_scaled(scratch, 1.0f / sum, row + first, count);
  zero_outside(row, first, last, n);
}

template <typename T>
ORGAN_INLINE float softmax_backward(T* dp, const T* p, std::int64_t first, std::int64_t last,
                                    std::int64_t n) {
  const float dot = dot_product(dp + first, p + first, last - first);
#pragma omp simd
  for (std::int64_t i = first; i < last; ++i) store(dp[i], load(p[i]) * (load(dp[i]) - dot));
  zero_outside(dp, first, last, n);
  return dot;
}

template <typename T>
ORGAN_INLINE float softmax_stretch(T* row, std::int64_t n, std::int64_t target, bool weights,
                                   SoftmaxState& state, float* scratch) {
  float top = maximum(row, n);
  if (state.top > top) top = state.top;
  const double factor = std::exp(static_cast<double>(state.top) - static_cast<double>(top));
  state.sum = state.sum * factor + static_cast<double>(exponentials(row, top, scratch, n));
  state.top = top;
  const bool here = target >= 0 && target < n;
  if (here) state.score = load(row[target]);
  if (weights) convert(scratch, row, n);
  if (weights && here) row[target] = T{};
  return static_cast<float>(factor);
}

}  // namespace

ORGAN_VERSIONS float softmax_row(float* row, std::int64_t first, std::int64_t last, std::int64_t n,
                                 float sink, float* scratch) {
  return softmax(row, first, last, n, sink, scratch);
}
ORGAN_VERSIONS float softmax_row(Bf16* row, std::int64_t first, std::int64_t last, std::int64_t n,
                                 float sink, float* scratch) {
  return softmax(row, first, last, n, sink, scratch);
}
ORGAN_VERSIONS void biased_softmax_row(float* row, const float* bias, std::int64_t first,
                                       std::int64_t last, std::int64_t n, float* scratch) {
  biased_softmax(row, bias, first, last, n, scratch);
}
ORGAN_VERSIONS void biased_softmax_row(Bf16* row, const float* bias, std::int64_t first,
                                       std::int64_t last, std::int64_t n, float* scratch) {
  biased_softmax(row, bias, first, last, n, scratch);
}
ORGAN_VERSIONS float softmax_backward_row(float* dp, const float* p, std::int64_t first,
                                          std::int64_t last, std::int64_t n) {
  return softmax_backward(dp, p, first, last, n);
}
ORGAN_VERSIONS float softmax_backward_row(Bf16* dp, const Bf16* p, std::int64_t first,
                                          std::int64_t last, std::int64_t n) {
  return softmax_backward(dp, p, first, last, n);
}
ORGAN_VERSIONS float softmax_stretch_row(float* row, std::int64_t n, std::int64_t target,
                                         bool weights, SoftmaxState& state, float* scratch) {
  return softmax_stretch(row, n, target, weights, state, scratch);
}
ORGAN_VERSIONS float softmax_stretch_row(Bf16* row, std::int64_t n, std::int64_t target,
                                         bool weights, SoftmaxState& state, float* scratch) {
  return softmax_stretch(row, n, target, weights, state, scratch);
}

}  // namespace organ::train::kernels
