// SPDX-License-Identifier: Apache-2.0
#include "format/tensor/tensor.h"

#include <doctest/doctest.h>

#include "tests/support/support.h"

namespace organ::format {
namespace {

using test::error_of;

TEST_CASE("every dtype's name parses back to it and no other spelling does") {
  for (unsigned i = 0; i <= static_cast<unsigned>(DType::U64); ++i) {
    const auto dtype = static_cast<DType>(i);
    CHECK(parse_dtype(to_string(dtype)) == dtype);
  }
  CHECK(!parse_dtype("bf16"));
  CHECK(!parse_dtype("BF16 "));
  CHECK(!parse_dtype(""));
  CHECK(bit_width(DType::F4) == 4);
  CHECK(bit_width(DType::F6_E3M2) == 6);
  CHECK(bit_width(DType::BF16) == 16);
  CHECK(bit_width(DType::C64) == 64);
}

TEST_CASE("byte sizes are exact, a scalar has one element and a zero dimension none") {
  CHECK(byte_size(DType::F32, {}, "t") == 4);
  CHECK(byte_size(DType::BF16, {49152, 576}, "t") == 56'623'104);
  CHECK(byte_size(DType::F4, {2}, "t") == 1);
  CHECK(byte_size(DType::F6_E2M3, {4}, "t") == 3);
  CHECK(byte_size(DType::F64, {0, 9}, "t") == 0);
  CHECK(byte_size(DType::F4, {0, 3}, "t") == 0);
}

TEST_CASE("sizes that overflow or end inside a byte are refused, behind a zero dimension too") {
  const std::uint64_t huge = std::uint64_t{1} << 62;
  CHECK(error_of([&] {
          byte_size(DType::U8, {huge, huge}, "tensor 't'");
        }).find("tensor 't'") != std::string::npos);
  CHECK(error_of([&] { byte_size(DType::U8, {0, huge, huge}, "t"); }).starts_with("corrupt: "));
  CHECK(error_of([&] { byte_size(DType::F32, {huge}, "t"); }).starts_with("corrupt: "));
  CHECK(error_of([&] { byte_size(DType::F4, {3}, "t"); }).find("whole number of bytes") !=
        std::string::npos);
}

TEST_CASE("shapes are shown as people write them") {
  CHECK(to_string(Shape{49152, 576}) == "[49152, 576]");
  CHECK(to_string(Shape{}) == "[]");
}

}  // namespace
}  // namespace organ::format
