// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <ATen/ATen.h>

#include "train/kernels/elementwise.h"
#include "train/passes/batches.h"

namespace organ::train {
namespace {

// Of an encoder-decoder: one past the last place of each row's source that is no padding, which is
// all that the row's positions see of it. `keys` are the rows' first_key.
at::Tensor text_ends(const Batch& batch, const std::int32_t* keys) {
  at::Tensor ends = kernels::empty({batch.rows, batch.length}, at::kInt);
  for (std::int64_t row = 0; row < batch.rows; ++row) {
    const std::int32_t* source = keys + row * batch.length;
    ends.select(0, row).fill_(std::count(source, source + batch.source, 0));
  }
  return ends.view({batch.tokens()});
}

}  // namespace

Batch filled_batch(std::size_t rows, const Dataset& data, std::int64_t length,
                   const FillRow& fill) {
  Batch batch;
  batch.source = data.source_length();
  batch.rows = static_cast<std::int64_t>(rows);
  batch.length = length;
  batch.ids = kernels::empty({batch.tokens()}, at::kLong);
  batch.targets = kernels::empty({batch.tokens()}, at::kLong);
  const at::Tensor first_key = kernels::empty({batch.tokens()}, at::kInt);
  auto* ids = batch.ids.mutable_data_ptr<std::int64_t>();
  auto* targets = batch.targets.mutable_data_ptr<std::int64_t>();
  auto* keys = first_key.mutable_data_ptr<std::int32_t>();
  const auto size = static_cast<std::size_t>(length);
  for (std::size_t row = 0; row < rows; ++row) {
    const std::size_t at = row * size;
    fill(row, WindowArrays{{ids + at, size}, {targets + at, size}, {keys + at, size}});
  }
  const bool whole =
      std::all_of(keys, keys + batch.tokens(), [](std::int32_t key) { return key == 0; });
  if (whole) return batch;
  if (batch.source > 0) {
    batch.end_key = text_ends(batch, keys);
  } else {
    batch.first_key = first_key;
  }
  return batch;
}

at::Tensor document_ends(const Batch& batch) {
  at::Tensor ends = kernels::empty({batch.tokens()}, at::kInt);
  auto* end = ends.mutable_data_ptr<std::int32_t>();
  const auto* first =
      batch.first_key.defined() ? batch.first_key.const_data_ptr<std::int32_t>() : nullptr;
  for (std::int64_t i = batch.tokens() - 1; i >= 0; --i) {
    const std::int64_t position = i % batch.length;
    const bool last = position + 1 == batch.length || (first && first[i + 1] == position + 1);
    end[i] = last ? static_cast<std::int32_t>(position + 1) : end[i + 1];
  }
  return ends;
}

Batch row_of(const Batch& batch, std::int64_t row) {
  const auto cut = [&](const at::Tensor& all) {
    return all.defined() ? all.narrow(0, row * batch.length, batch.length) : all;
  };
  Batch one;
  one.rows = 1;
  one.length = batch.length;
  one.source = batch.source;
  one.ids = cut(batch.ids);
  one.targets = cut(batch.targets);
  one.first_key = cut(batch.first_key);
  one.end_key = cut(batch.end_key);
  // What bounds nothing in this row was there for the others.
  if (one.first_key.defined() && !one.first_key.any().item<bool>()) one.first_key.reset();
  if (one.source > 0 && one.end_key.defined() &&
      one.end_key[0].item<std::int32_t>() == one.source) {
    one.end_key.reset();
  }
  return one;
}

Batch make_batch(const Dataset& data, std::span<const std::int64_t> windows,
                 std::span<const std::uint64_t> epochs) {
  Batch batch = filled_batch(windows.size(), data, data.row_length(),
                             [&](std::size_t row, const auto& arrays) {
                               data.fill(windows[row], arrays, epochs.empty() ? 0 : epochs[row]);
                             });
  if (data.task() == Task::hidden_tokens) batch.end_key = document_ends(batch);
  return batch;
}

}  // namespace organ::train
