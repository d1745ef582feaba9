// SPDX-License-Identifier: Apache-2.0
#include "registry/archive/codec/number_planes.h"

#include <bit>

#include "registry/archive/codec/numbers.h"

namespace organ::archive {
namespace {

// One plane at a time, so that every loop reads one stream and writes one.
template <typename Bits>
void split(std::span<const std::byte> bytes, int turn, std::span<std::byte> planes) {
  const std::size_t count = bytes.size() / sizeof(Bits);
  for (std::size_t plane = 0; plane < sizeof(Bits); ++plane) {
    const std::size_t shift = 8 * (sizeof(Bits) - 1 - plane);
    std::byte* const out = planes.data() + plane * count;
    for (std::size_t i = 0; i < count; ++i) {
      out[i] = static_cast<std::byte>(std::rotl(number_at<Bits>(bytes, i), turn) >> shift & 0xff);
    }
  }
}

template <typename Bits>
void join(std::span<const std::byte> planes, int turn, std::span<std::byte> bytes) {
  const std::size_t count = bytes.size() / sizeof(Bits);
  const std::byte* const in = planes.data();
  for (std::size_t i = 0; i < count; ++i) {
    Bits value = 0;
    for (std::size_t plane = 0; plane < sizeof(Bits); ++plane) {
      const auto byte = std::to_integer<Bits>(in[plane * count + i]);
      value = static_cast<Bits>(value | byte << 8 * (sizeof(Bits) - 1 - plane));
    }
    set_number(bytes, i, std::rotr(value, turn));
  }
}

// A float of one byte has sign, exponent and mantissa in it: nothing is gained by turning it.
int turn_of(const ElementType& type) { return type.is_float && type.width > 1 ? 1 : 0; }

void require_sizes(std::size_t bytes, std::size_t planes, const ElementType& type) {
  check(bytes == planes && bytes % type.width == 0, "planes of another size");
}

}  // namespace

void split_planes(std::span<const std::byte> bytes, const ElementType& type,
                  std::span<std::byte> planes) {
  require_sizes(bytes.size(), planes.size(), type);
  with_bits(type.width, [&]<typename Bits>(Bits) { split<Bits>(bytes, turn_of(type), planes); });
}

void join_planes(std::span<const std::byte> planes, const ElementType& type,
                 std::span<std::byte> bytes) {
  require_sizes(bytes.size(), planes.size(), type);
  with_bits(type.width, [&]<typename Bits>(Bits) { join<Bits>(planes, turn_of(type), bytes); });
}

}  // namespace organ::archive
