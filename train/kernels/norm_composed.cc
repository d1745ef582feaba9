// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>

#include "train/kernels/internal/composed.h"

namespace organ::train::kernels::composed {
namespace {

// 1 / sqrt(mean of squares + epsilon) over the last dimension, which stays as 1.
at::Tensor reciprocal_rms(const at::Tensor& x, double epsilon) {
  return x.square().mean(-1, /*keepdim=*/true).add_(epsilon).rsqrt_();
}

Norm kept(const at::Tensor& out, const at::Tensor& unit, const at::Tensor& rstd,
          at::ScalarType working, bool keep_unit) {
  return {out.to(working), keep_unit ? unit.to(working) : at::Tensor(), rstd.squeeze(-1)};
}

// rstd * (g - unit * mean(g * unit)) over the last dimension.
at::Tensor rms_gradient(const at::Tensor& g, const at::Tensor& unit, const at::Tensor& rstd) {
  return (g - unit * (g * unit).mean(-1, true)) * rstd;
}

at::Tensor plus(const at::Tensor& dx, const at::Tensor& base) {
  return base.defined() ? dx + base : dx;
}

// The columns of the heads as [n, heads, size], a view.
at::Tensor heads_of(const at::Tensor& packed, HeadRange range) {
  return packed.narrow(1, range.first_column, range.heads * range.size)
      .unflatten(1, {range.heads, range.size});
}

}  // namespace

Norm rms_norm(const at::Tensor& x, const at::Tensor& gamma, double epsilon, at::ScalarType working,
              bool keep_unit) {
  const at::Tensor rstd = reciprocal_rms(x, epsilon);
  const at::Tensor unit = (x * rstd).to(working);
  return kept(floats(unit) * gamma, unit, rstd, working, keep_unit);
}

Norm late_rms_norm(const at::Tensor& x, const at::Tensor& gamma, double epsilon,
                   at::ScalarType working, bool keep_unit) {
  const at::Tensor rstd = reciprocal_rms(x, epsilon);
  const at::Tensor unit = x * rstd;
  return kept(unit * gamma, unit, rstd, working, keep_unit);
}

at::Tensor rms_norm_backward(const at::Tensor& dout, const Norm& norm, const at::Tensor& gamma,
                             const at::Tensor& base) {
  return plus(rms_gradient(floats(dout) * gamma, floats(norm.unit), norm.rstd.unsqueeze(1)), base);
}

Norm layer_norm(const at::Tensor& x, const at::Tensor& gamma, const at::Tensor& beta,
                double epsilon, at::ScalarType working, bool keep_unit) {
  const at::Tensor centred = x - x.mean(1, true);
  const at::Tensor rstd = reciprocal_rms(centred, epsilon);
  const at::Tensor unit = centred * rstd;
  return kept(unit * gamma + beta, unit, rstd, working, keep_unit);
}

at::Tensor layer_norm_backward(const at::Tensor& dout, const Norm& norm, const at::Tensor& gamma,
                               const at::Tensor& base) {
  const at::Tensor g = floats(dout) * gamma, unit = floats(norm.unit);
  const at::Tensor inner = g - g.mean(1, true) - unit * (g * unit).mean(1, true);
  return plus(inner * norm.rstd.unsqueeze(1), base);
}

at::Tensor norm_output(const at::Tensor& unit, const at::Tensor& gamma, const at::Tensor& beta) {
  return plus(floats(unit) * gamma, beta).to(unit.scalar_type());
}

HeadNorm head_norm(at::Tensor& packed, HeadRange range, const at::Tensor& gamma, double epsilon) {
  at::Tensor heads = heads_of(packed, range);
  const at::Tensor x = floats(heads), rstd = reciprocal_rms(x, epsilon);
  const at::Tensor unit = (x * rstd).to(packed.scalar_type());
  heads.copy_(floats(unit) * gamma);
  return {unit.flatten(1), rstd.flatten()};
}

void head_norm_backward(at::Tensor& packed_gradient, HeadRange range, const HeadNorm& norm,
                        const at::Tensor& gamma, const at::Tensor& gamma_gradient) {
  at::Tensor heads = heads_of(packed_gradient, range);
  const at::Tensor dout = floats(heads), unit = floats(norm.unit).view(dout.sizes());
  if (gamma_gradient.defined()) gamma_gradient.add_((dout * unit).sum(at::IntArrayRef{0, 1}));
  heads.copy_(rms_gradient(dout * gamma, unit, norm.rstd.view({-1, range.heads, 1})));
}

void accumulate_products(const at::Tensor& a, const at::Tensor& b, const at::Tensor& sum) {
  sum.add_((floats(a) * b).sum(0));
}

void accumulate_rows(const at::Tensor& a, const at::Tensor& sum) {
  sum.add_(at::sum(a, at::IntArrayRef{0}, /*keepdim=*/false, at::kFloat));
}

}  // namespace organ::train::kernels::composed
