// SPDX-License-Identifier: Apache-2.0
#include "format/tensor/tensor.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "format/base/fail.h"

namespace organ::format {
namespace {

struct DTypeRow {
  std::string_view name;
  DType dtype;
  unsigned bits;
};

// In the order of the enumeration.
constexpr std::array kDTypes = {
    DTypeRow{"BOOL", DType::BOOL, 8},
    DTypeRow{"F4", DType::F4, 4},
    DTypeRow{"F6_E2M3", DType::F6_E2M3, 6},
    DTypeRow{"F6_E3M2", DType::F6_E3M2, 6},
    DTypeRow{"U8", DType::U8, 8},
    DTypeRow{"I8", DType::I8, 8},
    DTypeRow{"F8_E5M2", DType::F8_E5M2, 8},
    DTypeRow{"F8_E4M3", DType::F8_E4M3, 8},
    DTypeRow{"F8_E8M0", DType::F8_E8M0, 8},
    DTypeRow{"F8_E4M3FNUZ", DType::F8_E4M3FNUZ, 8},
    DTypeRow{"F8_E5M2FNUZ", DType::F8_E5M2FNUZ, 8},
    DTypeRow{"I16", DType::I16, 16},
    DTypeRow{"U16", DType::U16, 16},
    DTypeRow{"F16", DType::F16, 16},
    DTypeRow{"BF16", DType::BF16, 16},
    DTypeRow{"I32", DType::I32, 32},
    DTypeRow{"U32", DType::U32, 32},
    DTypeRow{"F32", DType::F32, 32},
    DTypeRow{"C64", DType::C64, 64},
    DTypeRow{"F64", DType::F64, 64},
    DTypeRow{"I64", DType::I64, 64},
    DTypeRow{"U64", DType::U64, 64},
};

constexpr bool rows_follow_the_enumeration() {
  for (std::size_t i = 0; i < kDTypes.size(); ++i) {
    if (static_cast<std::size_t>(kDTypes[i].dtype) != i) return false;
  }
  return kDTypes.size() == static_cast<std::size_t>(DType::U64) + 1;
}
static_assert(rows_follow_the_enumeration());

const DTypeRow& row(DType dtype) { return kDTypes[static_cast<std::size_t>(dtype)]; }

}  // namespace

std::string_view to_string(DType dtype) { return row(dtype).name; }

std::optional<DType> parse_dtype(std::string_view name) {
  const auto found = std::find_if(kDTypes.begin(), kDTypes.end(),
                                  [&](const DTypeRow& entry) { return entry.name == name; });
  if (found == kDTypes.end()) return std::nullopt;
  return found->dtype;
}

unsigned bit_width(DType dtype) { return row(dtype).bits; }

std::string to_string(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

std::uint64_t byte_size(DType dtype, const Shape& shape, std::string_view subject) {
  // Zero dimensions are multiplied last, so that [0, 2^62, 2^62] is an overflow and not empty.
  std::uint64_t bits = bit_width(dtype);
  for (const std::uint64_t dimension : shape) {
    if (dimension != 0) bits = checked_mul(bits, dimension, subject);
  }
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  if (bits % 8 != 0) {
    fail(ErrorCode::corrupt, "{}: {} elements of {} are not a whole number of bytes", subject,
         to_string(shape), to_string(dtype));
  }
  return bits / 8;
}

}  // namespace organ::format
