// SPDX-License-Identifier: Apache-2.0
#include "train/internal/embedding.h"

#include "format/base/error.h"
#include "train/kernels/kernels.h"

namespace organ::train {

at::Tensor Embedding::forward(const Batch& batch) const {
  const std::int64_t vocabulary = vocab_size();
  const std::int64_t* ids = batch.ids.const_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < batch.tokens(); ++i) {
    if (ids[i] < 0 || ids[i] >= vocabulary) {
      fail(ErrorCode::invalid_argument, "position {}: token id {} but the vocabulary has {}", i,
           ids[i], vocabulary);
    }
  }
  at::Tensor x = kernels::look_up(tokens_, batch.ids);
  if (common_.defined()) x.add_(common_);
  if (positions_.defined()) add_positions(batch, x);
  return norm_ ? norm_->forward(x, at::kFloat, nullptr) : x;
}

void Embedding::add_positions(const Batch& batch, at::Tensor& x) const {
  const std::int32_t* first =
      batch.first_key.defined() ? batch.first_key.const_data_ptr<int>() : nullptr;
  const at::Tensor rows = kernels::empty({batch.tokens()}, at::kLong);
  auto* row = rows.mutable_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < batch.tokens(); ++i) {
    row[i] = batch.past + i % batch.length - (first ? first[i] : 0);
    if (row[i] >= positions_.size(0)) {
      fail(ErrorCode::invalid_argument, "a document reaches position {} but the model has {}",
           row[i], positions_.size(0));
    }
  }
  kernels::add_looked_up(x, positions_, rows);
}

}  // namespace organ::train
