// SPDX-License-Identifier: Apache-2.0
#include "train/internal/embedding.h"

#include "format/base/error.h"
#include "train/kernels/dispatch.h"
#include "train/kernels/kernels.h"

namespace organ::train {

at::Tensor Embedding::forward(const Batch& batch) const {
  const std::int64_t d = tokens_.size(1), vocabulary = vocab_size();
  const std::int64_t* ids = batch.ids.const_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < batch.tokens(); ++i) {
    if (ids[i] < 0 || ids[i] >= vocabulary) {
      fail(ErrorCode::invalid_argument, "position {}: token id {} but the vocabulary has {}", i,
           ids[i], vocabulary);
    }
  }
  at::Tensor x = kernels::empty({batch.tokens(), d}, at::kFloat);
  kernels::with_type(tokens_.scalar_type(), [&]<typename T>(T) {
    const T* table = kernels::pointer<T>(tokens_);
    float* out = kernels::floats(x);
    kernels::for_each_row(batch.tokens(), d, [&](std::int64_t i) {
      kernels::convert_row(table + ids[i] * d, out + i * d, d);
    });
  });
  if (common_.defined()) x.add_(common_);
  if (positions_.defined()) add_positions(batch, x);
  return norm_ ? norm_->forward(x, at::kFloat, nullptr) : x;
}

void Embedding::add_positions(const Batch& batch, at::Tensor& x) const {
  const std::int64_t d = x.size(1);
  const std::int32_t* first =
      batch.first_key.defined() ? batch.first_key.const_data_ptr<int>() : nullptr;
  const auto position = [&](std::int64_t i) {
    return batch.past + i % batch.length - (first ? first[i] : 0);
  };
  for (std::int64_t i = 0; i < batch.tokens(); ++i) {
    if (position(i) >= positions_.size(0)) {
      fail(ErrorCode::invalid_argument, "a document reaches position {} but the model has {}",
           position(i), positions_.size(0));
    }
  }
  kernels::with_type(positions_.scalar_type(), [&]<typename T>(T) {
    const T* table = kernels::pointer<T>(positions_);
    float* rows = kernels::floats(x);
    kernels::for_each_row(batch.tokens(), d, [&](std::int64_t i) {
      kernels::add_row(rows + i * d, table + position(i) * d, rows + i * d, d);
    });
  });
}

}  // namespace organ::train
