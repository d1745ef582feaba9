// SPDX-License-Identifier: Apache-2.0
#include "train/positions/virtual_tokens.h"

#include "tests/train/support/doctest.h"

#include <ATen/ATen.h>

#include "train/weights/projection.h"

namespace organ::test {
namespace {

using train::Batch;
using train::WideBatch;

at::Tensor numbers(const std::vector<std::int64_t>& values, at::ScalarType type = at::kLong) {
  return at::tensor(values, at::kLong).to(type);
}

// The first row is one document of four tokens, the second two of two and one and a padding.
Batch two_rows() {
  Batch batch;
  batch.rows = 2;
  batch.length = 4;
  batch.ids = numbers({10, 11, 12, 13, 20, 21, 30, 0});
  batch.targets = numbers({11, 12, 13, -1, 21, -1, 31, -1});
  batch.first_key = numbers({0, 0, 0, 0, 0, 0, 2, 3}, at::kInt);
  return batch;
}

}  // namespace

TEST_CASE("every document gets its virtual tokens, padding none") {
  const Batch wide = train::widen(two_rows(), 2).batch;
  CHECK(wide.rows == 2);
  CHECK(wide.length == 8);
  CHECK(wide.ids.equal(numbers({-1, -2, 10, 11, 12, 13, 0, 0, -1, -2, 20, 21, -1, -2, 30, 0})));
  CHECK(wide.targets.equal(
      numbers({-1, -1, 11, 12, 13, -1, -1, -1, -1, -1, 21, -1, -1, -1, 31, -1})));
  CHECK(wide.first_key.equal(numbers({0, 0, 0, 0, 0, 0, 6, 7, 0, 0, 0, 0, 4, 4, 4, 7}, at::kInt)));
}

TEST_CASE("rows of one document stay without bounds") {
  Batch batch = two_rows();
  batch.first_key = at::Tensor();
  const Batch wide = train::widen(batch, 1).batch;
  CHECK(wide.length == 5);
  CHECK_FALSE(wide.first_key.defined());
  CHECK(wide.ids.equal(numbers({-1, 10, 11, 12, 13, -1, 20, 21, 30, 0})));
}

TEST_CASE("the last position that is seen stays the same") {
  Batch batch = two_rows();
  batch.end_key = numbers({1, 2, 3, 4, 2, 2, 3, 4}, at::kInt);
  CHECK(train::widen(batch, 1).batch.end_key.equal(
      numbers({6, 2, 3, 4, 5, 6, 6, 3, 3, 6, 5, 6}, at::kInt)));
}

TEST_CASE("own rows and their adjoint") {
  const WideBatch two = train::widen(two_rows(), 2);
  const at::Tensor wide = at::arange(16, at::kFloat).view({16, 1});
  const at::Tensor own = two.own_rows(wide);
  CHECK(own.equal(at::tensor({2., 3., 4., 5., 10., 11., 14., 15.}, at::kFloat).view({8, 1})));
  const at::Tensor back = two.spread(own);
  CHECK(back.sum().equal(own.sum()));
  CHECK(two.own_rows(back).equal(own));
}

}  // namespace organ::test
