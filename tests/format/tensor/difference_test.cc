// SPDX-License-Identifier: Apache-2.0
#include "format/tensor/difference.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/support.h"

namespace organ::format {
using test::error_of;

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// A tensor of its own bytes.
template <typename Stored>
struct Tensor {
  std::vector<Stored> values;
  TensorInfo info;

  Tensor(DType dtype, std::vector<Stored> stored) : values(std::move(stored)) {
    info.name = "t";
    info.dtype = dtype;
    info.shape = {values.size()};
    info.size = values.size() * sizeof(Stored);
  }
  TensorSource source() const { return memory_source(info, std::as_bytes(std::span(values))); }
};

TensorFigures of_floats(std::vector<float> a, std::vector<float> b) {
  const Tensor<float> left(DType::F32, std::move(a)), right(DType::F32, std::move(b));
  return compare_tensors(left.source(), right.source());
}

}  // namespace

TEST_CASE("difference: the figures of a few numbers") {
  const TensorFigures figures = of_floats({3, 4, 0, 0}, {3, 0, 0, 5});
  CHECK(figures.elements == 4);
  CHECK(figures.changed == 2);
  CHECK(figures.not_finite_a == 0);
  CHECK(figures.max_abs == 5.0);
  REQUIRE(figures.relative_l2);
  CHECK(*figures.relative_l2 == doctest::Approx(std::sqrt(41.0) / 5));
  REQUIRE(figures.cosine);
  CHECK(*figures.cosine == doctest::Approx(9 / (5 * std::sqrt(34.0))));
}

TEST_CASE("difference: what has no value is missing") {
  const TensorFigures from_zero = of_floats({0, 0}, {1, 0});
  CHECK(from_zero.max_abs == 1.0);
  CHECK_FALSE(from_zero.relative_l2);
  CHECK_FALSE(from_zero.cosine);
  const TensorFigures to_zero = of_floats({1, 0}, {0, 0});
  CHECK(to_zero.relative_l2 == 1.0);
  CHECK_FALSE(to_zero.cosine);
  const TensorFigures zeros = of_floats({0.0F, 0.0F}, {0.0F, -0.0F});
  CHECK(zeros.changed == 1);  // its bits
  CHECK(zeros.max_abs == 0.0);
  CHECK(zeros.relative_l2 == 0.0);
}

TEST_CASE("difference: NaN and infinity are counted, and are in no figure") {
  const TensorFigures some = of_floats({1, kNan, kInfinity, 4}, {2, kNan, 1, kInfinity});
  CHECK(some.changed == 3);
  CHECK(some.not_finite_a == 2);
  CHECK(some.not_finite_b == 2);
  CHECK(some.max_abs == 1.0);
  CHECK(some.relative_l2 == 1.0);
  const TensorFigures none = of_floats({kNan}, {1});
  CHECK(none.changed == 1);
  CHECK_FALSE(none.max_abs);
  CHECK_FALSE(none.relative_l2);
}

TEST_CASE("difference: numbers of 64 bits keep their last digit and their range") {
  const std::int64_t large = std::numeric_limits<std::int64_t>::max();
  const Tensor<std::int64_t> a(DType::I64, {large, 7}), b(DType::I64, {large - 1, 7});
  CHECK(compare_tensors(a.source(), b.source()).max_abs == 1.0);
  const Tensor<double> c(DType::F64, {1e200, 0}), d(DType::F64, {1e200, 1e200});
  const TensorFigures figures = compare_tensors(c.source(), d.source());
  REQUIRE(figures.relative_l2);
  CHECK(*figures.relative_l2 == doctest::Approx(1));
  REQUIRE(figures.cosine);
  CHECK(*figures.cosine == doctest::Approx(std::sqrt(0.5)));
}

TEST_CASE("difference: element types of two kinds are compared by their values") {
  const Tensor<float> a(DType::F32, {1, 2, 3});
  const Tensor<std::uint16_t> b(DType::BF16, {0x3F80, 0x4000, 0x4080});
  const TensorFigures figures = compare_tensors(a.source(), b.source());
  CHECK(figures.changed == 1);
  CHECK(figures.max_abs == 1.0);
  const Tensor<std::uint8_t> c(DType::U8, {1, 2, 3});
  CHECK(compare_tensors(a.source(), c.source()).changed == 0);
}

TEST_CASE("difference: other shapes and types without numbers are refused") {
  const Tensor<float> a(DType::F32, {1, 2}), b(DType::F32, {1, 2, 3});
  CHECK(
      error_of([&] { compare_tensors(a.source(), b.source()); }).starts_with("invalid_argument: "));
  const Tensor<std::uint8_t> c(DType::F8_E4M3, {1, 2});
  CHECK(
      error_of([&] { compare_tensors(a.source(), c.source()); }).starts_with("invalid_argument: "));
  CHECK_FALSE(is_comparable(DType::F4));
  CHECK_FALSE(is_comparable(DType::C64));
}

TEST_CASE("difference: it reads in pieces, in order, and tells of every byte") {
  const Tensor<float> a(DType::F32, std::vector<float>(1'000'000, 1.0F));
  struct Seen final : Progress {
    std::uint64_t bytes = 0;
    void begin(std::string_view, std::uint64_t, Unit) override {}
    void advance(std::uint64_t amount) override { bytes += amount; }
  } seen;
  std::uint64_t next = 0, largest = 0;
  TensorSource watched = a.source();
  watched.read = [&](std::uint64_t offset, std::span<std::byte> out) {
    CHECK(offset == next);
    next = offset + out.size();
    largest = std::max<std::uint64_t>(largest, out.size());
    a.source().read(offset, out);
  };
  const TensorFigures figures = compare_tensors(watched, a.source(), Work(&seen));
  CHECK(figures.changed == 0);
  CHECK(figures.cosine == 1.0);
  CHECK(next == a.info.size);
  CHECK(largest <= std::uint64_t{2} << 20);
  CHECK(seen.bytes == 2 * a.info.size);
}

}  // namespace organ::format
