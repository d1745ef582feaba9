// SPDX-License-Identifier: Apache-2.0
// What the codec has to know of the numbers in a chunk: how wide they are and where a float's
// exponent lies. Plain values; any thread.
#pragma once

#include <cstdint>

#include "format/tensor/tensor.h"

namespace organ::archive {

struct ElementType {
  unsigned width = 1;          // bytes of one element: 1, 2, 4 or 8
  unsigned mantissa_bits = 0;  // of a float, below its exponent; the sign is the highest bit
  bool is_float = false;

  bool operator==(const ElementType&) const = default;
};

// Of a tensor's chunk. Types of several numbers a byte, and those that are no numbers, are bytes;
// C64 is two F32.
ElementType element_type(format::DType dtype);

}  // namespace organ::archive
