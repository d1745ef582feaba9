// SPDX-License-Identifier: Apache-2.0
#include "train/positions/batch_visibility.h"

#include "tests/train/support/doctest.h"

#include <ATen/ATen.h>

namespace organ::test {
namespace {

using train::Batch;
using train::BatchVisibility;
using train::Sight;
using train::VisibleKeys;

Batch two_rows() {
  Batch batch;
  batch.rows = 2;
  batch.length = 6;
  batch.ids = at::zeros({12}, at::kLong);
  batch.first_key = at::zeros({12}, at::kInt);
  return batch;
}

}  // namespace

TEST_CASE("layers of one window share their spans") {
  const Batch batch = two_rows(), copy = two_rows();
  BatchVisibility spans;
  const VisibleKeys* all = &spans.of(batch, Sight::causal, 0);
  const VisibleKeys* near = &spans.of(batch, Sight::causal, 3);
  CHECK(all != near);
  CHECK(&spans.of(copy, Sight::causal, 0) == all);
  CHECK(&spans.of(batch, Sight::causal, 3) == near);
  CHECK(all->first(1, 5) == 0);
  CHECK(near->first(1, 5) == 3);
  CHECK(all->end(1, 4) == 5);
  CHECK(spans.of(batch, Sight::bidirectional, 0).end(1, 4) == 6);
}

TEST_CASE("a batch that is filled anew has spans of its own") {
  Batch batch = two_rows();
  BatchVisibility spans;
  CHECK(spans.of(batch, Sight::causal, 0).first(0, 5) == 0);
  batch.first_key.narrow(0, 0, 6).fill_(2);  // in its place
  CHECK(spans.of(batch, Sight::causal, 0).first(0, 5) == 2);
  CHECK(spans.of(batch, Sight::causal, 0).first(1, 5) == 0);
  batch.end_key = at::full({12}, 4, at::kInt);
  CHECK(spans.of(batch, Sight::causal, 0).end(1, 5) == 4);
  batch.end_key.fill_(5);
  CHECK(spans.of(batch, Sight::causal, 0).end(1, 5) == 5);
  batch.first_key = batch.end_key = at::Tensor();
  CHECK(spans.of(batch, Sight::causal, 0).first(0, 5) == 0);
  CHECK(spans.of(batch, Sight::causal, 0).end(1, 5) == 6);
  batch.past = 7;
  CHECK(spans.of(batch, Sight::causal, 0).end(1, 5) == 13);
  batch.rows = 1;
  batch.length = 12;
  CHECK(spans.of(batch, Sight::causal, 0).end(0, 11) == 19);
}

}  // namespace organ::test
