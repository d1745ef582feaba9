// SPDX-License-Identifier: Apache-2.0
#include "format/tensor/mxfp4.h"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "format/base/digest.h"
#include "tests/support/support.h"

namespace organ::test {
namespace {

using namespace format;

// OCP Microscaling Formats 1.0, E2M1: sign, two bits of exponent with bias 1, one of mantissa;
// exponent 0 has no leading one.
double e2m1(unsigned bits) {
  const unsigned exponent = bits >> 1u & 3u, mantissa = bits & 1u;
  const double size = exponent == 0 ? 0.5 * mantissa : std::ldexp(1 + 0.5 * mantissa, exponent - 1);
  return (bits & 8u) != 0 ? -size : size;
}

// The nearest fp32; what is too large becomes infinite.
float as_float(double value) {
  if (std::abs(value) <= std::numeric_limits<float>::max()) return static_cast<float>(value);
  return value > 0 ? std::numeric_limits<float>::infinity()
                   : -std::numeric_limits<float>::infinity();
}

// Every byte with every scale: blocks of one scale hold 16 of the 256 bytes each.
std::vector<float> decode_all() {
  std::vector<std::byte> blocks, scales;
  for (unsigned scale = 0; scale < 256; ++scale) {
    for (unsigned byte = 0; byte < 256; ++byte) blocks.push_back(static_cast<std::byte>(byte));
    scales.insert(scales.end(), 16, static_cast<std::byte>(scale));
  }
  std::vector<float> values(scales.size() * kMxfp4BlockValues);
  decode_mxfp4(blocks, scales, values);
  return values;
}

}  // namespace

TEST_CASE("every byte with every scale is the number that the specification says") {
  const auto values = decode_all();
  for (unsigned scale = 0; scale < 256; ++scale) {
    for (unsigned byte = 0; byte < 256; ++byte) {
      for (unsigned half = 0; half < 2; ++half) {
        const float value = values[(scale * 256 + byte) * 2 + half];
        if (scale == 255) {
          CHECK(std::isnan(value));
          continue;
        }
        const double exact =
            std::ldexp(e2m1(byte >> (4 * half) & 15u), static_cast<int>(scale) - 127);
        if (std::bit_cast<std::uint32_t>(value) != std::bit_cast<std::uint32_t>(as_float(exact))) {
          CAPTURE(scale);
          CAPTURE(byte);
          CHECK(value == exact);
        }
      }
    }
  }
}

// tests/tools/mxfp4_table.py prints it: SHA-256 over the BF16 numbers of all bytes with all scales
// below 255, as transformers computes them.
TEST_CASE("the table is that of transformers") {
  const auto values = decode_all();
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i < values.size() - 512; ++i) {
    const auto bits = std::bit_cast<std::uint32_t>(values[i]);
    CHECK((bits & 0xffffu) == 0);  // bf16 holds it exactly
    bytes.push_back(static_cast<std::byte>(bits >> 16u));
    bytes.push_back(static_cast<std::byte>(bits >> 24u));
  }
  CHECK(sha256(std::span<const std::byte>(bytes)).hex() ==
        "a3f56fc35f302a8df6486ad4f7fbf44be636685fb54db8e6c22b32a01910373f");
}

}  // namespace organ::test
