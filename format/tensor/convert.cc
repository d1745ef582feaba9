// SPDX-License-Identifier: Apache-2.0
#include "format/tensor/convert.h"

#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "format/base/fail.h"

namespace organ::format {
namespace {

constexpr std::uint32_t kExponentMask = 0x7F800000;

bool is_nan(std::uint32_t bits) { return (bits & 0x7FFFFFFF) > kExponentMask; }
bool is_finite(std::uint32_t bits) { return (bits & kExponentMask) != kExponentMask; }

std::uint16_t bf16_from_f32(std::uint32_t bits) {
  if (is_nan(bits)) return static_cast<std::uint16_t>(bits >> 16 | 0x40);
  return static_cast<std::uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

std::uint32_t f32_from_bf16(std::uint16_t bits) { return std::uint32_t{bits} << 16; }

// Shifts right and rounds the bits that fall out to nearest, ties to even.
std::uint32_t shift_round(std::uint32_t value, unsigned shift) {
  const std::uint32_t kept = value >> shift;
  const std::uint32_t lost = value & ((1u << shift) - 1);
  const std::uint32_t half = 1u << (shift - 1);
  return kept + (lost > half || (lost == half && (kept & 1)) ? 1 : 0);
}

std::uint16_t f16_from_f32(std::uint32_t bits) {
  const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000);
  if (is_nan(bits)) return static_cast<std::uint16_t>(sign | 0x7E00 | (bits >> 13 & 0x3FF));
  const std::uint32_t magnitude = bits & 0x7FFFFFFF;
  if (magnitude >= 0x47800000) return static_cast<std::uint16_t>(sign | 0x7C00);  // >= 2^16, inf
  if (magnitude >= 0x38800000) {  // normal in F16: the exponent bias falls from 127 to 15
    return static_cast<std::uint16_t>(sign | (shift_round(magnitude, 13) - (112u << 10)));
  }
  const unsigned shift = 126 - (magnitude >> 23);  // subnormal: steps of 2^-24
  if (shift > 24) return sign;
  return static_cast<std::uint16_t>(sign | shift_round((magnitude & 0x7FFFFF) | 0x800000, shift));
}

std::uint32_t f32_from_f16(std::uint16_t bits) {
  const std::uint32_t sign = std::uint32_t{bits & 0x8000u} << 16;
  const std::uint32_t exponent = bits >> 10 & 0x1F;
  const std::uint32_t fraction = bits & 0x3FF;
  if (exponent == 0x1F) return sign | kExponentMask | fraction << 13;
  if (exponent != 0) return sign | (exponent + 112) << 23 | fraction << 13;
  // Subnormal: fraction x 2^-24 is exact in F32.
  return sign | std::bit_cast<std::uint32_t>(static_cast<float>(fraction) * 0x1p-24f);
}

template <typename To, typename From, typename Convert>
std::size_t convert_all(std::span<const std::byte> in, std::span<std::byte> out, Convert convert) {
  const std::size_t count = in.size() / sizeof(From);
  std::size_t overflows = 0;
  for (std::size_t i = 0; i < count; ++i) {
    From from;
    std::memcpy(&from, in.data() + i * sizeof(From), sizeof(From));
    const To to = convert(from);
    if constexpr (sizeof(To) < sizeof(From)) {
      const std::uint16_t magnitude = to & 0x7FFF;
      if (is_finite(from) && (magnitude == 0x7F80 || magnitude == 0x7C00)) {
        // 0x7C00 is infinity in F16 but a number in BF16, and the other way round.
        overflows += convert(kExponentMask) == magnitude;
      }
    }
    std::memcpy(out.data() + i * sizeof(To), &to, sizeof(To));
  }
  return overflows;
}

}  // namespace

bool is_floating(DType dtype) {
  return dtype == DType::F32 || dtype == DType::F16 || dtype == DType::BF16 || dtype == DType::F64;
}

bool can_convert(DType from, DType to) {
  const auto narrow = [](DType type) { return type == DType::BF16 || type == DType::F16; };
  return (from == DType::F32 && narrow(to)) || (narrow(from) && to == DType::F32);
}

void convert_elements(DType from, DType to, std::span<const std::byte> in, std::span<std::byte> out,
                      std::string_view subject) {
  if (!can_convert(from, to)) {
    fail(ErrorCode::invalid_argument, "{}: {} is not converted to {}", subject, to_string(from),
         to_string(to));
  }
  check(in.size() * bit_width(to) == out.size() * bit_width(from) &&
            in.size() % (bit_width(from) / 8) == 0,
        "conversion of a part of an element");
  std::size_t overflows = 0;
  if (from == DType::F32) {
    const auto narrow = to == DType::BF16 ? bf16_from_f32 : f16_from_f32;
    overflows = convert_all<std::uint16_t, std::uint32_t>(in, out, narrow);
  } else {
    const auto widen = from == DType::BF16 ? f32_from_bf16 : f32_from_f16;
    convert_all<std::uint32_t, std::uint16_t>(in, out, widen);
  }
  if (overflows > 0) {
    fail(ErrorCode::incompatible, "{}: {} finite values of {} are too large for {}", subject,
         overflows, to_string(from), to_string(to));
  }
}

TensorSource converted_source(TensorSource source, DType to) {
  const DType from = source.info.dtype;
  TensorSource out;
  out.info = source.info;
  out.info.dtype = to;
  out.info.size = byte_size(to, out.info.shape, quote(out.info.name));
  // shared: std::function demands a copyable callable
  auto input = std::make_shared<TensorSource>(std::move(source));
  out.read = [input, from, to](std::uint64_t offset, std::span<std::byte> bytes) {
    const std::uint64_t width_in = bit_width(from), width_out = bit_width(to);
    std::vector<std::byte> stored(bytes.size() * width_in / width_out);
    input->read(offset * width_in / width_out, stored);
    convert_elements(from, to, stored, bytes, "tensor " + quote(input->info.name));
  };
  return out;
}

}  // namespace organ::format
