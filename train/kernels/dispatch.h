// SPDX-License-Identifier: Apache-2.0
// From tensors to the typed pointers that the row functions take.
#pragma once

#include <span>

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include "format/base/fail.h"
#include "train/kernels/rows.h"

namespace organ::train::kernels {

template <typename T>
inline constexpr at::ScalarType kScalarType = at::kFloat;
template <>
inline constexpr at::ScalarType kScalarType<Bf16> = at::kBFloat16;

template <typename T>
T* pointer(const at::Tensor& tensor) {
  check(tensor.scalar_type() == kScalarType<T> && tensor.is_contiguous() && tensor.is_cpu(),
        "a kernel got a tensor of another type or layout, or of a device");
  return static_cast<T*>(tensor.data_ptr());
}
inline float* floats(const at::Tensor& tensor) { return pointer<float>(tensor); }

// Calls action(T{}) with T = float or Bf16, the tensor's element type.
template <typename Action>
void with_type(at::ScalarType type, Action action) {
  if (type == at::kBFloat16) {
    action(Bf16{});
  } else {
    check(type == at::kFloat, "a kernel got a tensor that is neither fp32 nor bf16");
    action(float{});
  }
}

// action(i) for each row, spread over the threads; rows of `width` numbers.
template <typename Action>
void for_each_row(std::int64_t rows, std::int64_t width, Action action) {
  const std::int64_t grain = std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(1, width));
  at::parallel_for(0, rows, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) action(i);
  });
}

}  // namespace organ::train::kernels

namespace organ::train {

// The numbers of a contiguous fp32 tensor on the CPU, borrowed.
inline std::span<float> host_floats(const at::Tensor& tensor) {
  check(tensor.is_cpu() && tensor.is_contiguous(), "host_floats got a tensor of a device");
  return {tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

}  // namespace organ::train
