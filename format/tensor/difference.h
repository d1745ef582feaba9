// SPDX-License-Identifier: Apache-2.0
// How far the numbers of two tensors are from each other: one pass over both, in bounded memory.
#pragma once

#include <cstdint>
#include <optional>

#include "format/base/progress.h"
#include "format/tensor/safetensors.h"
#include "format/tensor/tensor.h"

#pragma GCC visibility push(default)

namespace organ::format {

// Of a tensor a and the one, b, that it became. A figure is missing where it has no value: none of
// the pairs is finite, or it would divide by zero.
struct TensorFigures {
  std::uint64_t elements = 0;
  // Elements with other stored bits; of tensors of two element types those of another value (NaN is
  // NaN).
  std::uint64_t changed = 0;
  std::uint64_t not_finite_a = 0, not_finite_b = 0;  // NaN or infinite
  // Over the pairs of which both are finite.
  std::optional<double> max_abs;      // largest |a - b|
  std::optional<double> relative_l2;  // |a - b| / |a|, Euclidean; missing where a is zero and b not
  std::optional<double> cosine;       // a·b / (|a| |b|); missing where one of them is zero
};

// BOOL, U8 to U64, I8 to I64, F16, BF16, F32, F64: what is read as numbers. BOOL is its byte.
bool is_comparable(DType dtype);

// Both have one shape and comparable types; anything else throws invalid_argument. Sums are of
// double, of 64-bit types of long double. `work` is told of the bytes of both. Throws what the
// sources throw, cancelled.
TensorFigures compare_tensors(const TensorSource& a, const TensorSource& b, const Work& work = {});

}  // namespace organ::format

#pragma GCC visibility pop
