// SPDX-License-Identifier: Apache-2.0
#include "train/positions/batch_visibility.h"

#include <ATen/ops/clone.h>
#include <ATen/ops/equal.h>
#include "train/kernels/elementwise.h"

namespace organ::train {
namespace {

bool same_bounds(const at::Tensor& a, const at::Tensor& b) {
  return a.defined() == b.defined() && (!a.defined() || at::equal(a, b));
}

at::Tensor copy_of(const at::Tensor& bounds) {
  return bounds.defined() ? at::clone(bounds) : at::Tensor();
}

VisibleKeys make_spans(const Batch& batch, Sight sight, std::int64_t window) {
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

bool BatchVisibility::holds(const Batch& batch) const {
  return shape_.rows == batch.rows && shape_.length == batch.length && shape_.past == batch.past &&
         same_bounds(shape_.first_key, batch.first_key) &&
         same_bounds(shape_.end_key, batch.end_key);
}

const VisibleKeys& BatchVisibility::of(const Batch& batch, Sight sight, std::int64_t window) {
  if (!holds(batch)) {
    spans_.clear();
    shape_ = {batch.rows, batch.length, batch.past, copy_of(batch.first_key),
              copy_of(batch.end_key)};
  }
  const auto key = std::make_pair(sight, window);
  const auto found = spans_.find(key);
  if (found != spans_.end()) return found->second;
  return spans_.emplace(key, make_spans(batch, sight, window)).first->second;
}

}  // namespace organ::train
