// SPDX-License-Identifier: Apache-2.0
#include "train/weights/normalization.h"

#include <ATen/ops/zeros_like.h>

namespace organ::train {
namespace {

at::Tensor as_float(const Parameter& weight) {
  return weight.value.defined() ? kernels::convert(weight.value, at::kFloat) : at::Tensor();
}

}  // namespace

at::Tensor Normalization::forward(const at::Tensor& x, at::ScalarType working,
                                  kernels::Norm* tape) const {
  const bool keep = tape != nullptr;
  const at::Tensor gamma = as_float(gamma_);
  kernels::Norm norm;
  switch (kind_) {
    case NormKind::rms: norm = kernels::rms_norm(x, gamma, epsilon_, working, keep); break;
    case NormKind::rms_late:
      norm = kernels::late_rms_norm(x, gamma, epsilon_, working, keep);
      break;
    case NormKind::layer:
      norm = kernels::layer_norm(x, gamma, as_float(beta_), epsilon_, working, keep);
      break;
  }
  at::Tensor out = std::move(norm.out);
  if (tape != nullptr) *tape = std::move(norm);
  return out;
}

at::Tensor Normalization::output(const kernels::Norm& tape) const {
  return kernels::norm_output(tape.unit, as_float(gamma_), as_float(beta_));
}

Normalization Normalization::unshifted() const {
  Normalization same = *this;
  if (beta_.value.defined()) same.beta_ = {at::zeros_like(beta_.value), {}};
  return same;
}

void Normalization::add_gradient(const at::Tensor& dout, const kernels::Norm& tape) const {
  if (gamma_.gradient.defined()) kernels::accumulate_products(dout, tape.unit, gamma_.gradient);
  if (beta_.gradient.defined()) kernels::accumulate_rows(dout, beta_.gradient);
}

at::Tensor Normalization::input_gradient(const at::Tensor& dout, const kernels::Norm& tape,
                                         const at::Tensor& base) const {
  return kind_ == NormKind::layer ? kernels::layer_norm_backward(dout, tape, as_float(gamma_), base)
                                  : kernels::rms_norm_backward(dout, tape, as_float(gamma_), base);
}

Normalization make_norm(const Geometry& geometry, std::string_view name,
                        const LayerParameters& parameters) {
  const auto of = [&](const char* part) {
    return parameters.run(std::string(name) + part, {geometry.hidden_size});
  };
  return {geometry.norm, geometry.norm_epsilon, of(".weight"), of(".bias")};
}

}  // namespace organ::train
