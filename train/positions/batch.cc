// SPDX-License-Identifier: Apache-2.0
#include "train/positions/batch.h"

#include <algorithm>

#include "train/kernels/elementwise.h"

namespace organ::train {

at::Tensor index_tensor(const std::vector<std::int64_t>& values) {
  at::Tensor tensor = kernels::empty({static_cast<std::int64_t>(values.size())}, at::kLong);
  std::copy(values.begin(), values.end(), tensor.mutable_data_ptr<std::int64_t>());
  return tensor;
}

const std::int32_t* bounds_of(const at::Tensor& bounds) {
  return bounds.defined() ? bounds.const_data_ptr<std::int32_t>() : nullptr;
}

Batch one_sequence(std::span<const std::int64_t> ids) {
  Batch batch;
  batch.rows = 1;
  batch.length = static_cast<std::int64_t>(ids.size());
  batch.ids = kernels::empty({batch.length}, at::kLong);
  std::copy(ids.begin(), ids.end(), batch.ids.mutable_data_ptr<std::int64_t>());
  return batch;
}

}  // namespace organ::train
