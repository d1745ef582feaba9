// SPDX-License-Identifier: Apache-2.0
// Element conversions between the floating types that checkpoints are stored in.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "format/tensor/safetensors.h"
#include "format/tensor/tensor.h"

namespace organ::format {

// F32, F16, BF16 or F64: what numbers that were not packed are stored in.
bool is_floating(DType dtype);

// The pairs organ converts: F32 to BF16 or F16 (IEEE 754 round to nearest, ties to even) and BF16
// or F16 to F32 (exact). BF16 and F16 are never turned into each other: both lose something.
bool can_convert(DType from, DType to);

// Converts whole elements; both spans hold the same number of them. NaN stays NaN. Throws
// incompatible when a finite value would become infinite in the narrower type, invalid_argument
// for a pair that can_convert refuses. `subject` names the tensor.
void convert_elements(DType from, DType to, std::span<const std::byte> in, std::span<std::byte> out,
                      std::string_view subject);

// The same tensor as `source` with elements of type `to`; offsets asked for must lie between
// elements.
TensorSource converted_source(TensorSource source, DType to);

}  // namespace organ::format
