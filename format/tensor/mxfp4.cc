// SPDX-License-Identifier: Apache-2.0
#include "format/tensor/mxfp4.h"

#include <array>
#include <bit>
#include <cstdint>
#include <limits>

#include "format/base/fail.h"

namespace organ::format {
namespace {

constexpr std::array<float, 16> kValues = {0.0f,  0.5f,  1.0f,  1.5f,  2.0f,  3.0f,  4.0f,  6.0f,
                                           -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f};

// 2^(byte - 127), which is the fp32 number with that exponent field but for the two ends.
float power_of(std::byte scale) {
  const auto exponent = std::to_integer<std::uint32_t>(scale);
  if (exponent == 0) return 0x1p-127f;
  if (exponent == 255) return std::numeric_limits<float>::quiet_NaN();
  return std::bit_cast<float>(exponent << 23);
}

}  // namespace

void decode_mxfp4(std::span<const std::byte> blocks, std::span<const std::byte> scales,
                  std::span<float> values) {
  check(blocks.size() == scales.size() * kMxfp4BlockBytes &&
            values.size() == scales.size() * kMxfp4BlockValues,
        "MXFP4 blocks, scales and values do not fit each other");
  for (std::size_t block = 0; block < scales.size(); ++block) {
    const float power = power_of(scales[block]);
    for (std::size_t i = 0; i < kMxfp4BlockBytes; ++i) {
      const auto pair = std::to_integer<unsigned>(blocks[block * kMxfp4BlockBytes + i]);
      float* out = &values[block * kMxfp4BlockValues + 2 * i];
      out[0] = kValues[pair & 15u] * power;
      out[1] = kValues[pair >> 4u] * power;
    }
  }
}

}  // namespace organ::format
