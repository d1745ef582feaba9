// SPDX-License-Identifier: Apache-2.0
// The element-wise steps of a transformer on whole tensors, threaded over rows. "Working" tensors
// are fp32 or bf16; the residual stream and every statistic are fp32. All tensors of a call are
// contiguous and on one device. On the CPU the loops of rows.h run, and results do not depend on
// the number of threads: sums over rows run over a fixed number of parts that are added in order.
// Elsewhere LibTorch's operations do (composed.h).
#pragma once

#include <ATen/core/Tensor.h>

#include "train/kernels/activation.h"

namespace organ::train::kernels {

// An uninitialised tensor.
at::Tensor empty(at::IntArrayRef shape, at::ScalarType type, at::Device device = at::kCPU);
// A copy in another of the two types; the tensor itself when it already has it.
at::Tensor convert(const at::Tensor& x, at::ScalarType type);
// x + delta as fp32; x fp32 [n, d], delta working.
at::Tensor add(const at::Tensor& x, const at::Tensor& delta);
// The given rows of a working table [rows, d] as fp32 [n, d]; rows int64 [n], all valid, on the
// CPU.
at::Tensor look_up(const at::Tensor& table, const at::Tensor& rows);
// x += those rows; x fp32 [n, d].
void add_looked_up(at::Tensor& x, const at::Tensor& table, const at::Tensor& rows);
// sum[rows[i]] += x[i] for each i in turn, a row as often as it comes; sum fp32 [m, ...], of any
// strides; x fp32 [n, ...]; rows int64 [n].
void add_to_rows(const at::Tensor& sum, const at::Tensor& rows, const at::Tensor& x);

struct Norm {
  at::Tensor out;   // working [n, d]
  at::Tensor unit;  // working [n, d]: x * rstd, what backward needs; undefined unless kept
  at::Tensor rstd;  // fp32 [n]
};
// RMS norm of fp32 rows x [n, d], gamma fp32 [d].
Norm rms_norm(const at::Tensor& x, const at::Tensor& gamma, double epsilon, at::ScalarType working,
              bool keep_unit);
// The same, rounded once, after the product with gamma (gpt-oss).
Norm late_rms_norm(const at::Tensor& x, const at::Tensor& gamma, double epsilon,
                   at::ScalarType working, bool keep_unit);
// base + d(norm)/dx applied to dout; base fp32 [n, d] or undefined (zero).
at::Tensor rms_norm_backward(const at::Tensor& dout, const Norm& norm, const at::Tensor& gamma,
                             const at::Tensor& base);
// Layer norm, the same way; gamma and beta fp32 [d].
Norm layer_norm(const at::Tensor& x, const at::Tensor& gamma, const at::Tensor& beta,
                double epsilon, at::ScalarType working, bool keep_unit);
at::Tensor layer_norm_backward(const at::Tensor& dout, const Norm& norm, const at::Tensor& gamma,
                               const at::Tensor& base);
// unit * gamma + beta again; beta undefined for a norm without.
at::Tensor norm_output(const at::Tensor& unit, const at::Tensor& gamma, const at::Tensor& beta);

// The RMS norm over each head of a packed working [n, width] matrix, in place: `heads` heads of
// `size` columns each from `first_column` on; one gamma, fp32 [size], serves all of them.
struct HeadNorm {
  at::Tensor unit;  // working [n, heads * size]
  at::Tensor rstd;  // fp32 [n * heads]
};
struct HeadRange {
  std::int64_t first_column = 0, heads = 0, size = 0;
};
HeadNorm head_norm(at::Tensor& packed, HeadRange range, const at::Tensor& gamma, double epsilon);
// Replaces the gradient of the heads' outputs by that of their inputs; adds d(gamma) to
// `gamma_gradient` (fp32 [size]) when it is defined.
void head_norm_backward(at::Tensor& packed_gradient, HeadRange range, const HeadNorm& norm,
                        const at::Tensor& gamma, const at::Tensor& gamma_gradient);

// sum[j] += sum over rows of a[i, j] * b[i, j], and of a[i, j]. a, b working, sum fp32 [d].
void accumulate_products(const at::Tensor& a, const at::Tensor& b, const at::Tensor& sum);
void accumulate_rows(const at::Tensor& a, const at::Tensor& sum);

// gate_up [n, 2f] holds gate | up. Forward: function(gate) * up, [n, f].
at::Tensor gated(Activation kind, const at::Tensor& gate_up);
// In place: gate_up becomes its gradient.
void gated_backward(Activation kind, at::Tensor& gate_up, const at::Tensor& dout);

// Of each number, a new tensor. Backward in place: x becomes its gradient.
at::Tensor activate(Activation kind, const at::Tensor& x);
void activate_backward(Activation kind, at::Tensor& x, const at::Tensor& dout);

// How the columns of a packed q|k|v row are laid out, and how rows group into sequences.
struct HeadLayout {
  std::int64_t rows = 0, length = 0;
  std::int64_t kv_heads = 0;
  std::int64_t group = 0;  // query heads per key head
  std::int64_t head_size = 0;
  std::int64_t past = 0;  // positions before the first query, whose keys are there too
  std::int64_t source =
      0;  // length of the other sequence that the keys are of; 0: the queries' own

  std::int64_t query_width() const { return kv_heads * group * head_size; }
  std::int64_t packed_width() const { return query_width() + 2 * kv_heads * head_size; }
  std::int64_t groups() const { return rows * kv_heads; }
  std::int64_t keys() const { return source > 0 ? source : past + length; }
};

// One matrix per (row, key head); the `group` queries of a position are adjacent rows, so that
// grouped-query attention is a plain matrix product without repeating keys.
struct Heads {
  at::Tensor query;  // working [rows * kv_heads, length * group, head_size], times the scale
  at::Tensor key;    // working [rows * kv_heads, keys, head_size]
  at::Tensor value;
};
// Splits packed rows and applies the rotary tables (fp32 [length, head_size / 2]; undefined: none).
Heads split_heads(const at::Tensor& packed, const HeadLayout& layout, const at::Tensor& cosine,
                  const at::Tensor& sine, double scale);
// The adjoint: gradients of the heads back to the packed rows.
at::Tensor merge_head_gradients(const Heads& gradient, const HeadLayout& layout,
                                const at::Tensor& cosine, const at::Tensor& sine, double scale);

}  // namespace organ::train::kernels
