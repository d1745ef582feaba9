// SPDX-License-Identifier: Apache-2.0
// Element-wise maths on single rows of numbers, on plain pointers. Every function exists in
// several instruction-set versions (AVX-512, AVX2, baseline) chosen when the program starts, so
// one binary runs on any x86-64. Sums are taken in fp32 lanes in a fixed order: the same machine
// gives the same bits every time. Pure functions, thread-safe; nothing is checked.
#pragma once

#include <cstdint>

#include "train/kernels/activation.h"

namespace organ::train::kernels {

// bfloat16 as it lies in memory; the same layout as c10::BFloat16.
struct Bf16 {
  std::uint16_t bits;
};

// y = x rounded to the nearest bf16, ties to even, NaN stays NaN; and exactly back.
void convert_row(const float* x, Bf16* y, std::int64_t n);
void convert_row(const Bf16* x, float* y, std::int64_t n);
void convert_row(const float* x, float* y, std::int64_t n);

// y = x + delta. May be in place (y == x).
void add_row(const float* x, const float* delta, float* y, std::int64_t n);
void add_row(const float* x, const Bf16* delta, float* y, std::int64_t n);

// RMS norm (arXiv 1910.07467) as transformers' Llama family rounds it: unit = round(x * rstd),
// out = round(unit * gamma), rstd = 1 / sqrt(mean(x^2) + epsilon), which is returned. `unit` may
// be null; `out` may be x.
float rms_norm_row(const float* x, const float* gamma, float epsilon, float* unit, float* out,
                   std::int64_t n);
float rms_norm_row(const float* x, const float* gamma, float epsilon, Bf16* unit, Bf16* out,
                   std::int64_t n);
float rms_norm_row(const Bf16* x, const float* gamma, float epsilon, Bf16* unit, Bf16* out,
                   std::int64_t n);

// As gpt-oss rounds it: out = round(x * rstd * gamma).
float late_rms_norm_row(const float* x, const float* gamma, float epsilon, float* unit, float* out,
                        std::int64_t n);
float late_rms_norm_row(const float* x, const float* gamma, float epsilon, Bf16* unit, Bf16* out,
                        std::int64_t n);

// dx = base + rstd * (g - unit * mean(g * unit)) with g = dout * gamma. `base` null counts as
// zero; dx may be `base` or `dout`.
void rms_norm_backward_row(const float* dout, const float* unit, float rstd, const float* gamma,
                           const float* base, float* dx, std::int64_t n);
void rms_norm_backward_row(const Bf16* dout, const Bf16* unit, float rstd, const float* gamma,
                           const float* base, float* dx, std::int64_t n);
void rms_norm_backward_row(const Bf16* dout, const Bf16* unit, float rstd, const float* gamma,
                           const float* base, Bf16* dx, std::int64_t n);

// Layer norm (arXiv 1607.06450): unit = (x - mean) * rstd, out = round(unit * gamma + beta), rstd =
// 1 / sqrt(variance + epsilon), which is returned. `unit` may be null.
float layer_norm_row(const float* x, const float* gamma, const float* beta, float epsilon,
                     float* unit, float* out, std::int64_t n);
float layer_norm_row(const float* x, const float* gamma, const float* beta, float epsilon,
                     Bf16* unit, Bf16* out, std::int64_t n);
// dx = base + rstd * (g - mean(g) - unit * mean(g * unit)) with g = dout * gamma. `base` null
// counts as zero; dx may be `base` or `dout`.
void layer_norm_backward_row(const float* dout, const float* unit, float rstd, const float* gamma,
                             const float* base, float* dx, std::int64_t n);
void layer_norm_backward_row(const Bf16* dout, const Bf16* unit, float rstd, const float* gamma,
                             const float* base, float* dx, std::int64_t n);

// out = round(unit * gamma + beta), beta null: zero. A norm's output again, from what its tape
// keeps.
void affine_row(const float* unit, const float* gamma, const float* beta, float* out,
                std::int64_t n);
void affine_row(const Bf16* unit, const float* gamma, const float* beta, Bf16* out, std::int64_t n);
// sum += a * b, and sum += a.
void accumulate_product_row(const float* a, const float* b, float* sum, std::int64_t n);
void accumulate_product_row(const Bf16* a, const Bf16* b, float* sum, std::int64_t n);
void accumulate_row(const float* a, float* sum, std::int64_t n);
void accumulate_row(const Bf16* a, float* sum, std::int64_t n);
// sum += a * factor
void accumulate_scaled_row(const float* a, float factor, float* sum, std::int64_t n);
void accumulate_scaled_row(const Bf16* a, float factor, float* sum, std::int64_t n);
// sum of a * b
float dot_row(const float* a, const float* b, std::int64_t n);
float dot_row(const Bf16* a, const Bf16* b, std::int64_t n);
float dot_row(const Bf16* a, const float* b, std::int64_t n);

// out = function(gate) * up (SwiGLU and its kin, arXiv 2002.05202).
void gated_row(Activation kind, const float* gate, const float* up, float* out, std::int64_t n);
void gated_row(Activation kind, const Bf16* gate, const Bf16* up, Bf16* out, std::int64_t n);
// Replaces gate and up by their gradients.
void gated_backward_row(Activation kind, float* gate, float* up, const float* dout, std::int64_t n);
void gated_backward_row(Activation kind, Bf16* gate, Bf16* up, const Bf16* dout, std::int64_t n);

// gpt-oss' experts: gate and up alternate; (up + 1) * gate * sigmoid(alpha * gate) with gate at
// most `limit` and up between -limit and limit.
void clamped_swiglu_row(const float* gate_up, float limit, float alpha, float* out, std::int64_t n);
void clamped_swiglu_row(const Bf16* gate_up, float limit, float alpha, Bf16* out, std::int64_t n);
// Replaces gate and up by their gradients; a number that was cut has none.
void clamped_swiglu_backward_row(float* gate_up, float limit, float alpha, const float* dout,
                                 std::int64_t n);
void clamped_swiglu_backward_row(Bf16* gate_up, float limit, float alpha, const Bf16* dout,
                                 std::int64_t n);

// Those of plain MLPs.
void activate_row(Activation kind, const float* x, float* out, std::int64_t n);
void activate_row(Activation kind, const Bf16* x, Bf16* out, std::int64_t n);
// Replaces x by its gradient.
void activate_backward_row(Activation kind, float* x, const float* dout, std::int64_t n);
void activate_backward_row(Activation kind, Bf16* x, const Bf16* dout, std::int64_t n);

// out = in * factor
void scale_row(const float* in, float factor, float* out, std::int64_t n);
void scale_row(const Bf16* in, float factor, Bf16* out, std::int64_t n);

// Rotary embedding (arXiv 2104.09864) of one head in Hugging Face's layout, pairs (i, i + half),
// times `scale`; `direction` -1 turns back (the gradient). May be in place.
void rotate_row(const float* in, const float* cosine, const float* sine, float direction,
                float scale, float* out, std::int64_t half);
void rotate_row(const Bf16* in, const float* cosine, const float* sine, float direction,
                float scale, Bf16* out, std::int64_t half);

// Softmax in place over [first, last) of a row of n; zero outside. `scratch` holds n floats. One
// more score, `sink`, takes its share, which is returned (none: -infinity, 0).
float softmax_row(float* row, std::int64_t first, std::int64_t last, std::int64_t n, float sink,
                  float* scratch);
float softmax_row(Bf16* row, std::int64_t first, std::int64_t last, std::int64_t n, float sink,
                  float* scratch);
// The same of the scores plus `bias`, n numbers of which [first, last) are read; no sink.
void biased_softmax_row(float* row, const float* bias, std::int64_t first, std::int64_t last,
                        std::int64_t n, float* scratch);
void biased_softmax_row(Bf16* row, const float* bias, std::int64_t first, std::int64_t last,
                        std::int64_t n, float* scratch);
// dp becomes the gradient of the scores: p * (dp - dot) over [first, last), zero outside, with
// dot = sum(dp * p), which is returned. The gradient of a sink is -share * dot.
float softmax_backward_row(float* dp, const float* p, std::int64_t first, std::int64_t last,
                           std::int64_t n);
float softmax_backward_row(Bf16* dp, const Bf16* p, std::int64_t first, std::int64_t last,
                           std::int64_t n);

// A softmax whose row comes in stretches, and the number at one place of it.
struct SoftmaxState {
  float top = 0;    // the largest number so far; -infinity before the first
  double sum = 0;   // of e^(x - top)
  float score = 0;  // the target's number
};
// Adds a stretch of n numbers; `target` counts from its first, outside [0, n) it lies in another.
// With `weights` they become e^(x - top), 0 at the target. Returns by what earlier weights must be
// multiplied to fit the new top. `scratch` holds n floats.
float softmax_stretch_row(float* row, std::int64_t n, std::int64_t target, bool weights,
                          SoftmaxState& state, float* scratch);
float softmax_stretch_row(Bf16* row, std::int64_t n, std::int64_t target, bool weights,
                          SoftmaxState& state, float* scratch);

}  // namespace organ::train::kernels
