// SPDX-License-Identifier: Apache-2.0
// Which token goes to which expert is decided on the CPU: lists of rows and weights come from
// there, and sums of dots go back there.
#include <ATen/ATen.h>

#include "train/kernels/internal/composed.h"

namespace organ::train::kernels::composed {
namespace {

// Numbers of the host as a tensor where `like` is.
template <typename T>
at::Tensor moved(std::span<const T> values, const at::Tensor& like) {
  const auto size = static_cast<std::int64_t>(values.size());
  at::Tensor host =
      at::empty({size}, at::TensorOptions().dtype(c10::CppTypeToScalarType<T>::value));
  std::copy(values.begin(), values.end(), host.mutable_data_ptr<T>());
  return host.to(like.device());
}

// The gates and ups, cut at the limits.
struct Cut {
  at::Tensor raw_gate, raw_up, gate, up;
  Cut(const at::Tensor& gate_up, double limit)
      : raw_gate(part(gate_up, 0)),
        raw_up(part(gate_up, 1)),
        gate(raw_gate.clamp_max(limit)),
        up(raw_up.clamp(-limit, limit)) {}
  static at::Tensor part(const at::Tensor& gate_up, std::int64_t index) {
    return floats(gate_up.unflatten(1, {-1, 2}).select(2, index));
  }
};

}  // namespace

at::Tensor gather_rows(const at::Tensor& x, std::span<const std::int32_t> rows) {
  return at::index_select(x, 0, moved(rows, x));
}

void scatter_add_rows(at::Tensor& sum, std::span<const std::int32_t> rows, const at::Tensor& x,
                      std::span<const float> weights) {
  at::Tensor addend = floats(x);
  if (!weights.empty()) addend = addend * moved(weights, x).unsqueeze(1);
  sum.index_add_(0, moved(rows, x), addend);
}

void scale_rows(at::Tensor& x, std::span<const float> weights) {
  x.mul_(moved(weights, x).unsqueeze(1));
}

void add_row_dots(const at::Tensor& a, const at::Tensor& b, std::span<float> dots) {
  const at::Tensor sums = (floats(a) * b).sum(1).cpu();
  const float* sum = sums.const_data_ptr<float>();
  for (std::size_t i = 0; i < dots.size(); ++i) dots[i] += sum[i];
}

at::Tensor clamped_swiglu(const at::Tensor& gate_up, ClampedSwiglu form) {
  const Cut cut(gate_up, form.limit);
  return ((cut.up + 1) * cut.gate * at::sigmoid(cut.gate * form.alpha)).to(gate_up.scalar_type());
}

void clamped_swiglu_backward(at::Tensor& gate_up, const at::Tensor& dout, ClampedSwiglu form) {
  const Cut cut(gate_up, form.limit);
  const at::Tensor d = floats(dout), s = at::sigmoid(cut.gate * form.alpha);
  const at::Tensor slope = s * (1 + form.alpha * cut.gate * (1 - s));
  const at::Tensor gate_cut = cut.raw_gate.gt(form.limit), up_cut = cut.raw_up.abs().gt(form.limit);
  const at::Tensor pairs = gate_up.unflatten(1, {-1, 2});
  pairs.select(2, 0).copy_((d * (cut.up + 1) * slope).masked_fill_(gate_cut, 0));
  pairs.select(2, 1).copy_((d * cut.gate * s).masked_fill_(up_cut, 0));
}

}  // namespace organ::train::kernels::composed
