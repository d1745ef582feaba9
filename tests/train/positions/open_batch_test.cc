// SPDX-License-Identifier: Apache-2.0
#include "train/positions/open_batch.h"

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

TEST_CASE("layers of one window share what they see") {
  train::OpenBatch open(two_rows());
  const VisibleKeys* all = &open.visible(Sight::causal, 0);
  const VisibleKeys* near = &open.visible(Sight::causal, 3);
  CHECK(all != near);
  CHECK(&open.visible(Sight::causal, 0) == all);
  CHECK(&open.visible(Sight::causal, 3) == near);
  CHECK(all->first(1, 5) == 0);
  CHECK(near->first(1, 5) == 3);
  CHECK(all->end(1, 4) == 5);
  CHECK(open.visible(Sight::bidirectional, 0).end(1, 4) == 6);
}

TEST_CASE("documents, ends and positions that ran before bound what is seen") {
  Batch batch = two_rows();
  batch.first_key.narrow(0, 0, 6).fill_(2);
  CHECK(BatchVisibility(batch).of(Sight::causal, 0).first(0, 5) == 2);
  CHECK(BatchVisibility(batch).of(Sight::causal, 0).first(1, 5) == 0);
  batch.end_key = at::full({12}, 4, at::kInt);
  CHECK(BatchVisibility(batch).of(Sight::causal, 0).end(1, 5) == 4);
  batch.first_key = batch.end_key = at::Tensor();
  CHECK(BatchVisibility(batch).of(Sight::causal, 0).end(1, 5) == 6);
  batch.past = 7;
  CHECK(BatchVisibility(batch).of(Sight::causal, 0).end(1, 5) == 13);
}

TEST_CASE("the parts of an encoder-decoder's rows are opened once") {
  Batch batch = two_rows();
  batch.source = 4;
  train::OpenBatch open(batch);
  CHECK(open.source().batch().length == 4);
  CHECK(open.target().batch().length == 2);
  CHECK(&open.source() == &open.source());
  CHECK(open.source().visible(Sight::bidirectional, 0).end(0, 0) == 4);
  CHECK(open.target().visible(Sight::causal, 0).end(0, 0) == 1);
}

}  // namespace organ::test
