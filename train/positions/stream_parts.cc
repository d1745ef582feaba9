// SPDX-License-Identifier: Apache-2.0
#include "train/positions/stream_parts.h"

#include <ATen/ops/cat.h>

namespace organ::train {
namespace {

at::Tensor part(const at::Tensor& x, const Batch& batch, std::int64_t first, std::int64_t count) {
  std::vector<std::int64_t> shape = x.sizes().vec();
  shape[0] = batch.rows * count;
  const at::Tensor rows = x.view({batch.rows, batch.length, -1});
  return rows.narrow(1, first, count).reshape(shape);
}

}  // namespace

at::Tensor source_part(const at::Tensor& x, const Batch& batch) {
  return part(x, batch, 0, batch.source);
}

at::Tensor target_part(const at::Tensor& x, const Batch& batch) {
  return part(x, batch, batch.source, batch.length - batch.source);
}

at::Tensor join_parts(const at::Tensor& source, const at::Tensor& target, const Batch& batch) {
  const std::int64_t d = source.size(1);
  return at::cat({source.view({batch.rows, batch.source, d}),
                  target.view({batch.rows, batch.length - batch.source, d})},
                 1)
      .view({batch.tokens(), d});
}

Batch source_batch(const Batch& batch) {
  Batch part;
  part.rows = batch.rows;
  part.length = batch.source;
  if (batch.first_key.defined()) part.first_key = source_part(batch.first_key, batch);
  if (batch.end_key.defined()) part.end_key = source_part(batch.end_key, batch);
  return part;
}

Batch target_batch(const Batch& batch) {
  Batch part;
  part.rows = batch.rows;
  part.length = batch.length - batch.source;
  part.past = batch.past;
  return part;
}

}  // namespace organ::train
