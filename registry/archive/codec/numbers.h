// SPDX-License-Identifier: Apache-2.0
// The bits of a chunk's numbers, as unsigned integers of their width.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "format/base/fail.h"

namespace organ::archive {

// The i-th number of little-endian bytes, and its place; aligned or not.
template <typename Bits>
Bits number_at(std::span<const std::byte> bytes, std::size_t i) {
  Bits value;
  std::memcpy(&value, bytes.data() + i * sizeof(Bits), sizeof(Bits));
  return value;
}
template <typename Bits>
void set_number(std::span<std::byte> bytes, std::size_t i, Bits value) {
  std::memcpy(bytes.data() + i * sizeof(Bits), &value, sizeof(Bits));
}

// Calls action(Bits{}) with the unsigned type of `width` bytes.
template <typename Action>
void with_bits(unsigned width, const Action& action) {
  switch (width) {
    case 1: return action(std::uint8_t{});
    case 2: return action(std::uint16_t{});
    case 4: return action(std::uint32_t{});
    case 8: return action(std::uint64_t{});
    default: check(false, "a number of another width");
  }
}

}  // namespace organ::archive
