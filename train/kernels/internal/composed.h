// SPDX-License-Identifier: Apache-2.0
// The functions of elementwise.h, cross_entropy.h and experts.h put together from LibTorch's own
// operations: what runs wherever the tensors are not on the CPU, and the twin that the hand-written
// loops are compared with. Statistics and intermediate results are fp32, rounded to the working
// type at the same places. Signatures, shapes and meaning are those of the functions of the same
// name there.
#pragma once

#include <span>

#include <ATen/core/Tensor.h>

#include "train/kernels/cross_entropy.h"
#include "train/kernels/elementwise.h"
#include "train/kernels/experts.h"

namespace organ::train::kernels::composed {

// As fp32; x itself where it is fp32 already, so that writing to x changes the result too.
inline at::Tensor floats(const at::Tensor& x) { return x.to(at::kFloat); }

at::Tensor convert(const at::Tensor& x, at::ScalarType type);
at::Tensor add(const at::Tensor& x, const at::Tensor& delta);
at::Tensor look_up(const at::Tensor& table, const at::Tensor& rows);
void add_looked_up(at::Tensor& x, const at::Tensor& table, const at::Tensor& rows);
// Not by index_add, whose order on CUDA is not fixed: rows are sorted first, and the sums of equal
// rows keep one order.
void add_to_rows(const at::Tensor& sum, const at::Tensor& rows, const at::Tensor& x);

// rms_norm and head_norm round x * rstd to the working type before the product with gamma.
// late_rms_norm and layer_norm round the product alone; the unit that they keep is rounded apart.
Norm rms_norm(const at::Tensor& x, const at::Tensor& gamma, double epsilon, at::ScalarType working,
              bool keep_unit);
Norm late_rms_norm(const at::Tensor& x, const at::Tensor& gamma, double epsilon,
                   at::ScalarType working, bool keep_unit);
at::Tensor rms_norm_backward(const at::Tensor& dout, const Norm& norm, const at::Tensor& gamma,
                             const at::Tensor& base);
Norm layer_norm(const at::Tensor& x, const at::Tensor& gamma, const at::Tensor& beta,
                double epsilon, at::ScalarType working, bool keep_unit);
at::Tensor layer_norm_backward(const at::Tensor& dout, const Norm& norm, const at::Tensor& gamma,
                               const at::Tensor& base);
at::Tensor norm_output(const at::Tensor& unit, const at::Tensor& gamma, const at::Tensor& beta);
HeadNorm head_norm(at::Tensor& packed, HeadRange range, const at::Tensor& gamma, double epsilon);
void head_norm_backward(at::Tensor& packed_gradient, HeadRange range, const HeadNorm& norm,
                        const at::Tensor& gamma, const at::Tensor& gamma_gradient);
// Summed in fp32 in LibTorch's order, not in the fixed parts of the CPU's loops.
void accumulate_products(const at::Tensor& a, const at::Tensor& b, const at::Tensor& sum);
void accumulate_rows(const at::Tensor& a, const at::Tensor& sum);

// gelu by LibTorch's error function; the loops' Phi differs from it by up to 1e-7. gated rounds the
// function of the gate to the working type before the product, its backward does not.
at::Tensor gated(Activation kind, const at::Tensor& gate_up);
void gated_backward(Activation kind, at::Tensor& gate_up, const at::Tensor& dout);
at::Tensor activate(Activation kind, const at::Tensor& x);
void activate_backward(Activation kind, at::Tensor& x, const at::Tensor& dout);

Heads split_heads(const at::Tensor& packed, const HeadLayout& layout, const at::Tensor& cosine,
                  const at::Tensor& sine, double scale);
at::Tensor merge_head_gradients(const Heads& gradient, const HeadLayout& layout,
                                const at::Tensor& cosine, const at::Tensor& sine, double scale);

// The exponentials of a stretch are summed in fp32, the stretches in fp64. With `weights` the
// logits are overwritten; sums are updated in place.
at::Tensor add_logits(const SoftmaxSums& sums, at::Tensor& logits, const at::Tensor& targets,
                      std::int64_t first_id, bool weights);
void rescale_and_add(at::Tensor& total, const at::Tensor& factor, const at::Tensor& part);
at::Tensor losses(const SoftmaxSums& sums);
void finish_gradient(const SoftmaxSums& sums, at::Tensor& total, const at::Tensor& projection,
                     const at::Tensor& targets);

// Rows and weights are copied from the host to the device by each call. add_row_dots copies its
// sums back, and waits for the device.
at::Tensor gather_rows(const at::Tensor& x, std::span<const std::int32_t> rows);
void scatter_add_rows(at::Tensor& sum, std::span<const std::int32_t> rows, const at::Tensor& x,
                      std::span<const float> weights);
void scale_rows(at::Tensor& x, std::span<const float> weights);
void add_row_dots(const at::Tensor& a, const at::Tensor& b, std::span<float> dots);
at::Tensor clamped_swiglu(const at::Tensor& gate_up, ClampedSwiglu form);
void clamped_swiglu_backward(at::Tensor& gate_up, const at::Tensor& dout, ClampedSwiglu form);

}  // namespace organ::train::kernels::composed
