// SPDX-License-Identifier: Apache-2.0
#include "format/tensor/finite.h"

#include <cmath>
#include <cstring>
#include <limits>

#include <doctest/doctest.h>

#include "format/base/random.h"
#include "format/tensor/convert.h"

namespace organ::format {
namespace {

std::vector<std::byte> bytes_of(std::uint64_t value, std::size_t width) {
  std::vector<std::byte> bytes(width);
  std::memcpy(bytes.data(), &value, width);
  return bytes;
}

// The value of an 8-bit float by its definition (OCP 8-bit specification; FNUZ: Noune et al. 2022),
// NaN for infinity too.
double value_of(DType dtype, unsigned code) {
  const int exponent_bits = dtype == DType::F8_E5M2 || dtype == DType::F8_E5M2FNUZ ? 5 : 4;
  const int fraction_bits = 7 - exponent_bits;
  const bool fnuz = dtype == DType::F8_E4M3FNUZ || dtype == DType::F8_E5M2FNUZ;
  const int bias = (1 << (exponent_bits - 1)) - (fnuz ? 0 : 1);
  const unsigned exponent = code >> fraction_bits & ((1u << exponent_bits) - 1);
  const unsigned fraction = code & ((1u << fraction_bits) - 1);
  if (fnuz && code == 0x80) return NAN;
  if (dtype == DType::F8_E5M2 && exponent == 31) return NAN;
  if (dtype == DType::F8_E4M3 && exponent == 15 && fraction == 7) return NAN;
  const double whole = exponent == 0 ? 0 : 1;
  return std::ldexp(whole + std::ldexp(fraction, -fraction_bits),
                    static_cast<int>(exponent == 0 ? 1 : exponent) - bias);
}

}  // namespace

TEST_CASE("every 8-bit float is judged as its definition says") {
  for (const DType dtype :
       {DType::F8_E5M2, DType::F8_E4M3, DType::F8_E5M2FNUZ, DType::F8_E4M3FNUZ}) {
    CAPTURE(to_string(dtype));
    for (unsigned code = 0; code < 256; ++code) {
      CAPTURE(code);
      CHECK(first_not_finite(dtype, bytes_of(code, 1)).has_value() ==
            !std::isfinite(value_of(dtype, code)));
    }
  }
  for (unsigned code = 0; code < 256; ++code) {
    CHECK(first_not_finite(DType::F8_E8M0, bytes_of(code, 1)).has_value() == (code == 255));
  }
}

TEST_CASE("every 16-bit float is judged as its exact fp32 value") {
  for (const DType dtype : {DType::F16, DType::BF16}) {
    std::size_t wrong = 0;
    for (unsigned code = 0; code < 65536; ++code) {
      const auto bytes = bytes_of(code, 2);
      float value = 0;
      convert_elements(dtype, DType::F32, bytes, std::as_writable_bytes(std::span(&value, 1)), "x");
      wrong += first_not_finite(dtype, bytes).has_value() == std::isfinite(value);
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("wide floats are judged as the machine judges them") {
  SplitMix64 random(7);
  for (int i = 0; i < 200'000; ++i) {
    std::uint64_t bits = random.next();
    if (i % 2 == 0) bits |= 0x7FF0000000000000 | 0x7F800000;
    double wide = 0;
    float narrow = 0;
    std::memcpy(&wide, &bits, 8);
    std::memcpy(&narrow, &bits, 4);
    const bool both =
        first_not_finite(DType::F64, bytes_of(bits, 8)).has_value() == !std::isfinite(wide) &&
        first_not_finite(DType::F32, bytes_of(bits, 4)).has_value() == !std::isfinite(narrow);
    if (!both) FAIL(bits);
  }
}

TEST_CASE("the first of many is found, wherever it stands") {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::vector<float> values(20'000, -std::numeric_limits<float>::max());
  const auto first = [&] { return first_not_finite(DType::F32, std::as_bytes(std::span(values))); };
  CHECK_FALSE(first().has_value());
  for (const std::size_t at : {19'999u, 12'288u, 4'096u, 4'095u, 17u, 1u, 0u}) {
    values[at] = at % 2 == 0 ? -kInfinity : kNan;
    CHECK(first() == at);
  }
  CHECK(first_not_finite(DType::C64, std::as_bytes(std::span(values).subspan(5, 14))) == 6);
}

TEST_CASE("types without such numbers have none, and nothing is nothing") {
  const std::vector<std::byte> ones(64, std::byte{0xFF});
  for (const DType dtype :
       {DType::BOOL, DType::F4, DType::F6_E2M3, DType::F6_E3M2, DType::U8, DType::I8, DType::I16,
        DType::U16, DType::I32, DType::U32, DType::I64, DType::U64}) {
    CHECK_FALSE(may_be_not_finite(dtype));
    CHECK_FALSE(first_not_finite(dtype, ones).has_value());
  }
  CHECK_FALSE(first_not_finite(DType::F32, {}).has_value());
  CHECK_FALSE(first_not_finite(DType::F8_E8M0, {}).has_value());
}

TEST_CASE("the place is that of the shape") {
  CHECK(describe_not_finite({3, 4, 5}, 59) == "NaN or infinity at [2, 3, 4]");
  CHECK(describe_not_finite({7}, 3) == "NaN or infinity at [3]");
  CHECK(describe_not_finite({}, 0) == "NaN or infinity at []");
}

}  // namespace organ::format
