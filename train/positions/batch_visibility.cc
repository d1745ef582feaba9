// SPDX-License-Identifier: Apache-2.0
#include "train/positions/batch_visibility.h"

#include <ATen/ops/clone.h>
#include <ATen/ops/equal.h>
#include "train/kernels/elementwise.h"

namespace organ::train {
namespace {

VisibleKeys make_keys(const Batch& batch, Sight sight, std::int64_t window) {
  at::Tensor end_key = batch.end_key;
  if (sight == Sight::bidirectional && !end_key.defined()) {
    end_key = kernels::empty({batch.tokens()}, at::kInt).fill_(batch.length);
  }
  kernels::HeadLayout layout;
  layout.rows = batch.rows;
  layout.length = batch.length;
  layout.past = batch.past;
  return {batch.first_key, end_key, layout, window};
}

}  // namespace

const VisibleKeys& BatchVisibility::of(Sight sight, std::int64_t window) {
  const auto key = std::make_pair(sight, window);
  const auto found = keys_.find(key);
  if (found != keys_.end()) return found->second;
  return keys_.emplace(key, make_keys(batch_, sight, window)).first->second;
}

}  // namespace organ::train
