// SPDX-License-Identifier: Apache-2.0
// Between the bytes of a stored tensor (F32, BF16, F16; to be read also F64) and fp32 numbers.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "format/tensor/tensor.h"

namespace organ::format {

// Throws incompatible for any other stored type.
void check_floating(const TensorInfo& tensor);
// Exact, of F64 rounded to nearest even: there a finite value that does not fit throws
// incompatible.
std::vector<float> floats_of(const TensorInfo& tensor, std::span<const std::byte> bytes);
// Rounded to nearest even. Throws incompatible when a finite value does not fit.
std::vector<std::byte> stored_bytes(const TensorInfo& tensor, std::span<const float> values);

}  // namespace organ::format
