// SPDX-License-Identifier: Apache-2.0
// Tensor descriptions: element type, shape, place. No arithmetic on values. Plain values: any
// thread may read them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/error.h"

#pragma GCC visibility push(default)

namespace organ::format {

// The 22 element types of safetensors (reference crate 0.8), named as in the file. F4 is of 4 bits,
// the two F6 of 6, packed without a gap; BOOL, U8, I8 and the F8 of one byte; C64 is two F32.
enum class DType : std::uint8_t {
  BOOL,
  F4,
  F6_E2M3,
  F6_E3M2,
  U8,
  I8,
  F8_E5M2,
  F8_E4M3,
  F8_E8M0,
  F8_E4M3FNUZ,
  F8_E5M2FNUZ,
  I16,
  U16,
  F16,
  BF16,
  I32,
  U32,
  F32,
  C64,
  F64,
  I64,
  U64,
};

// The spelling of a header ("BF16"). parse_dtype() takes exactly these, in upper case; nullopt for
// any other text.
std::string_view to_string(DType dtype);
std::optional<DType> parse_dtype(std::string_view name);
unsigned bit_width(DType dtype);  // of one element: 4 to 64

using Shape = std::vector<std::uint64_t>;  // outermost dimension first; {} is a scalar

std::string to_string(const Shape& shape);  // [49152, 576]; [] of a scalar

// product(shape) x bits, checked; throws corrupt naming `subject` on overflow or when the bits
// are not a whole number of bytes. A zero dimension gives 0 bytes and does not hide an overflow of
// the others. A scalar is one element.
std::uint64_t byte_size(DType dtype, const Shape& shape, std::string_view subject);

// Where a tensor lies and what its bytes are: C order, little-endian, no gaps. Of a parsed header
// size is byte_size(dtype, shape) and the name passes tensor_name_flaw(); nothing checks a value
// that is put together by hand until a file is written from it.
struct TensorInfo {
  std::string name;
  DType dtype = DType::F32;
  Shape shape;
  std::uint64_t offset = 0;  // from the start of the file's data section
  std::uint64_t size = 0;    // bytes

  bool operator==(const TensorInfo&) const = default;
};

}  // namespace organ::format

#pragma GCC visibility pop
