// SPDX-License-Identifier: Apache-2.0
#include "format/tensor/convert.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "tests/support/support.h"

using namespace organ;
using namespace organ::format;

namespace {

std::uint16_t narrow(DType to, float value) {
  std::uint16_t out = 0;
  convert_elements(DType::F32, to, std::as_bytes(std::span(&value, 1)),
                   std::as_writable_bytes(std::span(&out, 1)), "x");
  return out;
}

float widen(DType from, std::uint16_t bits) {
  float out = 0;
  convert_elements(from, DType::F32, std::as_bytes(std::span(&bits, 1)),
                   std::as_writable_bytes(std::span(&out, 1)), "x");
  return out;
}

// The value that an F16 or BF16 pattern stands for, from its definition.
double meaning(DType type, std::uint16_t bits) {
  const int exponent_bits = type == DType::F16 ? 5 : 8;
  const int fraction_bits = 15 - exponent_bits;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = bits >> fraction_bits & ((1 << exponent_bits) - 1);
  const int fraction = bits & ((1 << fraction_bits) - 1);
  const double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) {
    return fraction ? std::nan("") : sign * std::numeric_limits<double>::infinity();
  }
  const double significand = exponent == 0 ? fraction : fraction + (1 << fraction_bits);
  return sign * std::ldexp(significand, (exponent == 0 ? 1 : exponent) - bias - fraction_bits);
}

}  // namespace

TEST_CASE("every F16 and BF16 pattern widens to its value and comes back unchanged") {
  for (const DType type : {DType::F16, DType::BF16}) {
    for (std::uint32_t i = 0; i < 0x10000; ++i) {
      const auto bits = static_cast<std::uint16_t>(i);
      const float value = widen(type, bits);
      const double expected = meaning(type, bits);
      if (std::isnan(expected)) {
        REQUIRE(std::isnan(value));
        REQUIRE(std::isnan(meaning(type, narrow(type, value))));
      } else {
        REQUIRE(static_cast<double>(value) == expected);
        REQUIRE(std::signbit(value) == std::signbit(expected));
        REQUIRE(narrow(type, value) == bits);
      }
    }
  }
}

TEST_CASE("values between two neighbours go to the nearer one, ties to the even one") {
  for (const DType type : {DType::F16, DType::BF16}) {
    const std::uint16_t largest = type == DType::F16 ? 0x7BFF : 0x7F7F;
    for (std::uint16_t low = 0; low < largest; ++low) {
      const auto high = static_cast<std::uint16_t>(low + 1);
      const double middle = (meaning(type, low) + meaning(type, high)) / 2;
      const auto tie = static_cast<float>(middle);
      REQUIRE(static_cast<double>(tie) == middle);
      REQUIRE(narrow(type, tie) == (low % 2 == 0 ? low : high));
      REQUIRE(narrow(type, std::nextafterf(tie, 0)) == low);
      REQUIRE(narrow(type, std::nextafterf(tie, INFINITY)) == high);
    }
  }
}

TEST_CASE("a finite value that does not fit is refused, infinity and NaN pass") {
  CHECK(test::error_of([] { narrow(DType::F16, 65520.0f); }) ==
        "incompatible: x: 1 finite values of F32 are too large for F16");
  CHECK(narrow(DType::F16, 65519.0f) == 0x7BFF);
  CHECK(test::error_of([] { narrow(DType::BF16, std::numeric_limits<float>::max()); }) ==
        "incompatible: x: 1 finite values of F32 are too large for BF16");
  CHECK(narrow(DType::F16, INFINITY) == 0x7C00);
  CHECK(narrow(DType::BF16, -INFINITY) == 0xFF80);
  CHECK(std::isnan(widen(DType::BF16, narrow(DType::BF16, NAN))));
  // 0x7C00 is an ordinary BF16 number, 0x7F80 a NaN of F16: neither is mistaken for an overflow.
  CHECK(narrow(DType::BF16, widen(DType::BF16, 0x7C00)) == 0x7C00);
}

TEST_CASE("BF16 and F16 are not turned into each other") {
  CHECK_FALSE(can_convert(DType::BF16, DType::F16));
  CHECK_FALSE(can_convert(DType::F32, DType::F32));
  CHECK_FALSE(can_convert(DType::F64, DType::F32));
  std::uint16_t bits = 0;
  CHECK(test::error_of([&] {
          convert_elements(DType::BF16, DType::F16, std::as_bytes(std::span(&bits, 1)),
                           std::as_writable_bytes(std::span(&bits, 1)), "tensor 'w'");
        }) == "invalid_argument: tensor 'w': BF16 is not converted to F16");
}
