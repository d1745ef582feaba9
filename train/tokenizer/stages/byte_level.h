// SPDX-License-Identifier: Apache-2.0
// GPT-2's printable stand-ins for bytes: 33-126, 161-172, 174-255 are themselves, the others
// 256, 257, … in order (openai/gpt-2 encoder.py, bytes_to_unicode). With them any bytes are a
// text without white space and control characters, of two bytes of UTF-8 at most for each.
#pragma once

#include <array>
#include <cstdint>

namespace organ::train {

// One more than the largest stand-in: 68 bytes are not themselves.
inline constexpr std::uint32_t kByteLevelEnd = 256 + 68;

// The stand-in of each byte, by the byte. All differ.
constexpr std::array<char32_t, 256> byte_level_characters() {
  std::array<char32_t, 256> table{};
  char32_t next = 256;
  for (char32_t byte = 0; byte < 256; ++byte) {
    const bool itself = (byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173);
    table[byte] = itself ? byte : next++;
  }
  return table;
}

// The byte of each stand-in, -1 for other code points. Code points from kByteLevelEnd on, which
// have no entry, stand for no byte.
constexpr std::array<std::int16_t, kByteLevelEnd> byte_level_bytes() {
  std::array<std::int16_t, kByteLevelEnd> table{};
  table.fill(-1);
  constexpr auto characters = byte_level_characters();
  for (std::size_t byte = 0; byte < 256; ++byte) {
    table[characters[byte]] = static_cast<std::int16_t>(byte);
  }
  return table;
}

}  // namespace organ::train
