// SPDX-License-Identifier: Apache-2.0
#include "train/kernels/rows.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "train/kernels/internal/row_math.h"

namespace organ::train::kernels {
namespace {

template <typename T>
ORGAN_INLINE void add(const float* x, const T* delta, float* y, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) y[i] = x[i] + load(delta[i]);
}

template <typename In>
ORGAN_INLINE float reciprocal_rms(const In* x, float epsilon, std::int64_t n) {
  float squares = 0;
#pragma omp simd reduction(+ : squares)
  for (std::int64_t i = 0; i < n; ++i) squares += load(x[i]) * load(x[i]);
  return 1.0f / std::sqrt(squares / static_cast<float>(n) + epsilon);
}

template <typename In, typename T>
ORGAN_INLINE float rms_norm(const In* x, const float* gamma, float epsilon, T* unit, T* out,
                            std::int64_t n) {
  const float rstd = reciprocal_rms(x, epsilon, n);
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

template <typename T>
ORGAN_INLINE float late_rms_norm(const float* x, const float* gamma, float epsilon, T* unit, T* out,
                                 std::int64_t n) {
  const float rstd = reciprocal_rms(x, epsilon, n);
  if (unit != nullptr) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) store(unit[i], x[i] * rstd);
  }
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) store(out[i], x[i] * rstd * gamma[i]);
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
ORGAN_INLINE float layer_norm(const float* x, const float* gamma, const float* beta, float epsilon,
                              T* unit, T* out, std::int64_t n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i) sum += x[i];
  const float mean = sum / static_cast<float>(n);
  float squares = 0;
#pragma omp simd reduction(+ : squares)
  for (std::int64_t i = 0; i < n; ++i) squares += (x[i] - mean) * (x[i] - mean);
  const float rstd = 1.0f / std::sqrt(squares / static_cast<float>(n) + epsilon);
  if (unit != nullptr) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) store(unit[i], (x[i] - mean) * rstd);
  }
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) store(out[i], (x[i] - mean) * rstd * gamma[i] + beta[i]);
  return rstd;
}

template <typename T>
ORGAN_INLINE void layer_norm_backward(const T* dout, const T* unit, float rstd, const float* gamma,
                                      const float* base, float* dx, std::int64_t n) {
  float sum = 0, dot = 0;
#pragma omp simd reduction(+ : sum, dot)
  for (std::int64_t i = 0; i < n; ++i) {
    const float g = load(dout[i]) * gamma[i];
    sum += g;
    dot += g * load(unit[i]);
  }
  const float mean = sum / static_cast<float>(n), slope = dot / static_cast<float>(n);
  if (base != nullptr) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      dx[i] = base[i] + rstd * (load(dout[i]) * gamma[i] - mean - load(unit[i]) * slope);
    }
  } else {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      dx[i] = rstd * (load(dout[i]) * gamma[i] - mean - load(unit[i]) * slope);
    }
  }
}

template <typename T>
ORGAN_INLINE void affine(const T* unit, const float* gamma, const float* beta, T* out,
                         std::int64_t n) {
  if (beta != nullptr) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) store(out[i], load(unit[i]) * gamma[i] + beta[i]);
  } else {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) store(out[i], load(unit[i]) * gamma[i]);
  }
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
ORGAN_INLINE void accumulate_scaled(const T* a, float factor, float* sum, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) sum[i] += load(a[i]) * factor;
}

template <typename T>
ORGAN_INLINE void scale(const T* in, float factor, T* out, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) store(out[i], load(in[i]) * factor);
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

ORGAN_VERSIONS float late_rms_norm_row(const float* x, const float* gamma, float epsilon,
                                       float* unit, float* out, std::int64_t n) {
  return late_rms_norm(x, gamma, epsilon, unit, out, n);
}
ORGAN_VERSIONS float late_rms_norm_row(const float* x, const float* gamma, float epsilon,
                                       Bf16* unit, Bf16* out, std::int64_t n) {
  return late_rms_norm(x, gamma, epsilon, unit, out, n);
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

ORGAN_VERSIONS float layer_norm_row(const float* x, const float* gamma, const float* beta,
                                    float epsilon, float* unit, float* out, std::int64_t n) {
  return layer_norm(x, gamma, beta, epsilon, unit, out, n);
}
ORGAN_VERSIONS float layer_norm_row(const float* x, const float* gamma, const float* beta,
                                    float epsilon, Bf16* unit, Bf16* out, std::int64_t n) {
  return layer_norm(x, gamma, beta, epsilon, unit, out, n);
}
ORGAN_VERSIONS void layer_norm_backward_row(const float* dout, const float* unit, float rstd,
                                            const float* gamma, const float* base, float* dx,
                                            std::int64_t n) {
  layer_norm_backward(dout, unit, rstd, gamma, base, dx, n);
}
ORGAN_VERSIONS void layer_norm_backward_row(const Bf16* dout, const Bf16* unit, float rstd,
                                            const float* gamma, const float* base, float* dx,
                                            std::int64_t n) {
  layer_norm_backward(dout, unit, rstd, gamma, base, dx, n);
}

ORGAN_VERSIONS void affine_row(const float* unit, const float* gamma, const float* beta, float* out,
                               std::int64_t n) {
  affine(unit, gamma, beta, out, n);
}
ORGAN_VERSIONS void affine_row(const Bf16* unit, const float* gamma, const float* beta, Bf16* out,
                               std::int64_t n) {
  affine(unit, gamma, beta, out, n);
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

ORGAN_VERSIONS void accumulate_scaled_row(const float* a, float factor, float* sum,
                                          std::int64_t n) {
  accumulate_scaled(a, factor, sum, n);
}
ORGAN_VERSIONS void accumulate_scaled_row(const Bf16* a, float factor, float* sum, std::int64_t n) {
  accumulate_scaled(a, factor, sum, n);
}
ORGAN_VERSIONS float dot_row(const float* a, const float* b, std::int64_t n) {
  return dot_product(a, b, n);
}
ORGAN_VERSIONS float dot_row(const Bf16* a, const Bf16* b, std::int64_t n) {
  return dot_product(a, b, n);
}
ORGAN_VERSIONS float dot_row(const Bf16* a, const float* b, std::int64_t n) {
  return dot_product(a, b, n);
}

ORGAN_VERSIONS void scale_row(const float* in, float factor, float* out, std::int64_t n) {
  scale(in, factor, out, n);
}
ORGAN_VERSIONS void scale_row(const Bf16* in, float factor, Bf16* out, std::int64_t n) {
  scale(in, factor, out, n);
}

ORGAN_VERSIONS void rotate_row(const float* in, const float* cosine, const float* sine,
                               float direction, float scale, float* out, std::int64_t half) {
  rotate(in, cosine, sine, direction, scale, out, half);
}
ORGAN_VERSIONS void rotate_row(const Bf16* in, const float* cosine, const float* sine,
                               float direction, float scale, Bf16* out, std::int64_t half) {
  rotate(in, cosine, sine, direction, scale, out, half);
}

}  // namespace organ::train::kernels
