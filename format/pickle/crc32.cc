// SPDX-License-Identifier: Apache-2.0
#include "format/pickle/internal/crc32.h"

#include <array>

namespace organ::format::internal {
namespace {

constexpr std::size_t kAtOnce = 8;  // bytes per step, one table each
using Tables = std::array<std::array<std::uint32_t, 256>, kAtOnce>;

constexpr Tables make_tables() {
  Tables tables{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = value >> 1 ^ (value & 1 ? 0xEDB88320U : 0U);
    tables[0][i] = value;
  }
  for (std::size_t k = 1; k < kAtOnce; ++k) {
    for (std::uint32_t i = 0; i < 256; ++i) {
      const std::uint32_t shorter = tables[k - 1][i];
      tables[k][i] = shorter >> 8 ^ tables[0][shorter & 0xFF];
    }
  }
  return tables;
}
constexpr Tables kTables = make_tables();

}  // namespace

std::uint32_t crc32(std::span<const std::byte> bytes, std::uint32_t before) {
  std::uint32_t sum = ~before;
  const auto at = [&](std::size_t i) { return std::to_integer<std::uint32_t>(bytes[i]); };
  for (; bytes.size() >= kAtOnce; bytes = bytes.subspan(kAtOnce)) {
    sum ^= at(0) | at(1) << 8 | at(2) << 16 | at(3) << 24;
    sum = kTables[7][sum & 0xFF] ^ kTables[6][sum >> 8 & 0xFF] ^ kTables[5][sum >> 16 & 0xFF] ^
          kTables[4][sum >> 24] ^ kTables[3][at(4)] ^ kTables[2][at(5)] ^ kTables[1][at(6)] ^
          kTables[0][at(7)];
  }
  for (const std::byte one : bytes) {
    sum = sum >> 8 ^ kTables[0][(sum ^ std::to_integer<std::uint32_t>(one)) & 0xFF];
  }
  return ~sum;
}

}  // namespace organ::format::internal
