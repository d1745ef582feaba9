// SPDX-License-Identifier: Apache-2.0
// Elements that lie apart, brought one behind the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "format/tensor/tensor.h"

namespace organ::format::internal {

// Whether the strides are those of elements in C order, one behind the other. Dimensions of one
// element may have any stride.
bool lies_in_order(const Shape& shape, const Shape& strides);

// Elements from the first to behind the last that such a tensor looks at; 0 of an empty one. The
// sums were checked when the tensor was read.
std::uint64_t extent(const Shape& shape, const Shape& strides);

// Bytes [offset, offset + out.size()) of the tensor in C order. `copy` is given where bytes lie,
// counted from the tensor's first, and where they go: those of one element, or a part of it. No
// dimension may be 0, and the run must lie inside the tensor: neither is checked.
using CopyBytes = std::function<void(std::uint64_t from, std::span<std::byte> to)>;
void gather(const CopyBytes& copy, const Shape& shape, const Shape& strides,
            std::size_t element_bytes, std::uint64_t offset, std::span<std::byte> out);

// The same of bytes in memory. `stored` holds the tensor's whole extent.
void gather(std::span<const std::byte> stored, const Shape& shape, const Shape& strides,
            std::size_t element_bytes, std::uint64_t offset, std::span<std::byte> out);

}  // namespace organ::format::internal
