// SPDX-License-Identifier: Apache-2.0
// Numbers that are none: NaN and infinity, found by their bits. Fast enough to look at bytes that
// pass by anyway while they are hashed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "format/tensor/tensor.h"

namespace organ::format {

// The type has NaN or infinity. Integers, F4 and F6 have neither.
bool may_be_not_finite(DType dtype);

// The first element of `bytes` (whole elements of `dtype`) that is NaN or infinite. A complex
// number is where one of its parts is.
std::optional<std::uint64_t> first_not_finite(DType dtype, std::span<const std::byte> bytes);

// "NaN or infinity at [3, 17]": where the element stands in a tensor of that shape.
std::string describe_not_finite(const Shape& shape, std::uint64_t element);

// Throws corrupt, naming `tensor` and the place of its first element that is NaN or infinite;
// `bytes` are all of it.
void require_finite(const TensorInfo& tensor, std::span<const std::byte> bytes);

}  // namespace organ::format
