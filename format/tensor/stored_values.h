// SPDX-License-Identifier: Apache-2.0
// Between the bytes of a stored tensor (F32, BF16, F16) and fp32 numbers.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "format/tensor/tensor.h"

namespace organ::format {

// Throws incompatible for any other stored type.
void check_floating(const TensorInfo& tensor);
// Exact.
std::vector<float> floats_of(const TensorInfo& tensor, std::span<const std::byte> bytes);
// Rounded to nearest even. Throws incompatible when a finite value does not fit.
std::vector<std::byte> stored_bytes(const TensorInfo& tensor, std::span<const float> values);

}  // namespace organ::format
