// SPDX-License-Identifier: Apache-2.0
// The element-wise functions of MLPs.
#include "train/kernels/internal/row_math.h"
#include "train/kernels/rows.h"

namespace organ::train::kernels {
namespace {

// A gate at most `limit`, an up value within both limits, and which of them was cut.
struct Clamped {
  float gate, up;
  bool gate_free, up_free;
};

ORGAN_INLINE Clamped clamped(float gate, float up, float limit) {
  const float cut_up = up > limit ? limit : (up < -limit ? -limit : up);
  return {gate > limit ? limit : gate, cut_up, gate <= limit, up <= limit && up >= -limit};
}

template <typename T>
ORGAN_INLINE void clamped_swiglu(const T* gate_up, float limit, float alpha, T* out,
                                 std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const Clamped c = clamped(load(gate_up[2 * i]), load(gate_up[2 * i + 1]), limit);
    store(out[i], (c.up + 1.0f) * c.gate * sigmoid(alpha * c.gate));
  }
}

template <typename T>
ORGAN_INLINE void clamped_swiglu_backward(T* gate_up, float limit, float alpha, const T* dout,
                                          std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const Clamped c = clamped(load(gate_up[2 * i]), load(gate_up[2 * i + 1]), limit);
    const float d = load(dout[i]), s = sigmoid(alpha * c.gate);
    const float dgate = d * (c.up + 1.0f) * s * (1.0f + alpha * c.gate * (1.0f - s));
    store(gate_up[2 * i], c.gate_free ? dgate : 0.0f);
    store(gate_up[2 * i + 1], c.up_free ? d * c.gate * s : 0.0f);
  }
}

// f(x) and f'(x) of each activation.
struct Curve {
  float value, slope;
};

ORGAN_INLINE Curve silu(float x) {
  const float s = sigmoid(x);
  return {x * s, s * (1.0f + x * (1.0f - s))};
}

// Phi by Abramowitz and Stegun 7.1.26, absolute error below 1e-7; its exponential is that of the
// normal density, which the slope needs too.
ORGAN_INLINE Curve gelu(float x) {
  const float z = std::abs(x) * 0.70710678118654752f;
  const float t = 1.0f / (1.0f + 0.3275911f * z);
  const float bell = fast_exp(-z * z);
  float p = 1.061405429f;
  p = p * t - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  const float tail = 0.5f * p * t * bell;
  const float phi = x < 0 ? tail : 1.0f - tail;
  return {x * phi, phi + x * bell * 0.39894228040143268f};
}

// 0.5 * (1 + tanh(u)) = sigmoid(2 u)
ORGAN_INLINE Curve gelu_tanh(float x) {
  constexpr float kTwice = 2.0f * 0.79788456080286536f, kCubic = 0.044715f;
  const float s = sigmoid(kTwice * (x + kCubic * x * x * x));
  return {x * s, s + x * s * (1.0f - s) * kTwice * (1.0f + 3.0f * kCubic * x * x)};
}

ORGAN_INLINE Curve relu(float x) { return {x > 0 ? x : 0.0f, x > 0 ? 1.0f : 0.0f}; }

template <Curve curve(float), typename T>
ORGAN_INLINE void activate_with(const T* x, T* out, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) store(out[i], curve(load(x[i])).value);
}

template <Curve curve(float), typename T>
ORGAN_INLINE void activate_backward_with(T* x, const T* dout, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) store(x[i], load(dout[i]) * curve(load(x[i])).slope);
}

template <typename T>
ORGAN_INLINE void activate(Activation kind, const T* x, T* out, std::int64_t n) {
  switch (kind) {
    case Activation::silu: return activate_with<silu>(x, out, n);
    case Activation::gelu: return activate_with<gelu>(x, out, n);
    case Activation::gelu_tanh: return activate_with<gelu_tanh>(x, out, n);
    case Activation::relu: return activate_with<relu>(x, out, n);
  }
}

template <typename T>
ORGAN_INLINE void activate_backward(Activation kind, T* x, const T* dout, std::int64_t n) {
  switch (kind) {
    case Activation::silu: return activate_backward_with<silu>(x, dout, n);
    case Activation::gelu: return activate_backward_with<gelu>(x, dout, n);
    case Activation::gelu_tanh: return activate_backward_with<gelu_tanh>(x, dout, n);
    case Activation::relu: return activate_backward_with<relu>(x, dout, n);
  }
}

template <Curve curve(float), typename T>
ORGAN_INLINE void gated_with(const T* gate, const T* up, T* out, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    store(out[i], rounded_as(curve(load(gate[i])).value, out) * load(up[i]));
  }
}

template <Curve curve(float), typename T>
ORGAN_INLINE void gated_backward_with(T* gate, T* up, const T* dout, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const Curve c = curve(load(gate[i]));
    const float u = load(up[i]), d = load(dout[i]);
    store(up[i], d * c.value);
    store(gate[i], d * u * c.slope);
  }
}

template <typename T>
ORGAN_INLINE void gated(Activation kind, const T* gate, const T* up, T* out, std::int64_t n) {
  switch (kind) {
    case Activation::silu: return gated_with<silu>(gate, up, out, n);
    case Activation::gelu: return gated_with<gelu>(gate, up, out, n);
    case Activation::gelu_tanh: return gated_with<gelu_tanh>(gate, up, out, n);
    case Activation::relu: return gated_with<relu>(gate, up, out, n);
  }
}

template <typename T>
ORGAN_INLINE void gated_backward(Activation kind, T* gate, T* up, const T* dout, std::int64_t n) {
  switch (kind) {
    case Activation::silu: return gated_backward_with<silu>(gate, up, dout, n);
    case Activation::gelu: return gated_backward_with<gelu>(gate, up, dout, n);
    case Activation::gelu_tanh: return gated_backward_with<gelu_tanh>(gate, up, dout, n);
    case Activation::relu: return gated_backward_with<relu>(gate, up, dout, n);
  }
}

}  // namespace

ORGAN_VERSIONS void gated_row(Activation kind, const float* gate, const float* up, float* out,
                              std::int64_t n) {
  gated(kind, gate, up, out, n);
}
ORGAN_VERSIONS void gated_row(Activation kind, const Bf16* gate, const Bf16* up, Bf16* out,
                              std::int64_t n) {
  gated(kind, gate, up, out, n);
}
ORGAN_VERSIONS void gated_backward_row(Activation kind, float* gate, float* up, const float* dout,
                                       std::int64_t n) {
  gated_backward(kind, gate, up, dout, n);
}
ORGAN_VERSIONS void gated_backward_row(Activation kind, Bf16* gate, Bf16* up, const Bf16* dout,
                                       std::int64_t n) {
  gated_backward(kind, gate, up, dout, n);
}

ORGAN_VERSIONS void clamped_swiglu_row(const float* gate_up, float limit, float alpha, float* out,
                                       std::int64_t n) {
  clamped_swiglu(gate_up, limit, alpha, out, n);
}
ORGAN_VERSIONS void clamped_swiglu_row(const Bf16* gate_up, float limit, float alpha, Bf16* out,
                                       std::int64_t n) {
  clamped_swiglu(gate_up, limit, alpha, out, n);
}
ORGAN_VERSIONS void clamped_swiglu_backward_row(float* gate_up, float limit, float alpha,
                                                const float* dout, std::int64_t n) {
  clamped_swiglu_backward(gate_up, limit, alpha, dout, n);
}
ORGAN_VERSIONS void clamped_swiglu_backward_row(Bf16* gate_up, float limit, float alpha,
                                                const Bf16* dout, std::int64_t n) {
  clamped_swiglu_backward(gate_up, limit, alpha, dout, n);
}

ORGAN_VERSIONS void activate_row(Activation kind, const float* x, float* out, std::int64_t n) {
  activate(kind, x, out, n);
}
ORGAN_VERSIONS void activate_row(Activation kind, const Bf16* x, Bf16* out, std::int64_t n) {
  activate(kind, x, out, n);
}
ORGAN_VERSIONS void activate_backward_row(Activation kind, float* x, const float* dout,
                                          std::int64_t n) {
  activate_backward(kind, x, dout, n);
}
ORGAN_VERSIONS void activate_backward_row(Activation kind, Bf16* x, const Bf16* dout,
                                          std::int64_t n) {
  activate_backward(kind, x, dout, n);
}

}  // namespace organ::train::kernels
