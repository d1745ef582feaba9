// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <ATen/ATen.h>

#include "train/internal/batches.h"

namespace organ::train {
namespace {

template <typename T>
std::span<T> row_of(const at::Tensor& tensor, std::size_t row, std::size_t length) {
  return {tensor.data_ptr<T>() + row * length, length};
}

}  // namespace

Batch make_batch(const Dataset& data, std::span<const std::int64_t> windows) {
  Batch batch;
  batch.rows = static_cast<std::int64_t>(windows.size());
  batch.length = data.context();
  batch.ids = at::empty({batch.tokens()}, at::kLong);
  batch.targets = at::empty({batch.tokens()}, at::kLong);
  at::Tensor first_key = at::empty({batch.tokens()}, at::kInt);
  const auto length = static_cast<std::size_t>(batch.length);
  for (std::size_t row = 0; row < windows.size(); ++row) {
    data.fill(windows[row], {row_of<std::int64_t>(batch.ids, row, length),
                             row_of<std::int64_t>(batch.targets, row, length),
                             row_of<std::int32_t>(first_key, row, length)});
  }
  const auto keys = row_of<std::int32_t>(first_key, 0, length * windows.size());
  if (std::any_of(keys.begin(), keys.end(), [](std::int32_t key) { return key != 0; })) {
    batch.first_key = first_key;
  }
  return batch;
}

}  // namespace organ::train
