// SPDX-License-Identifier: Apache-2.0
#include "train/model/internal/embedding.h"

#include <ATen/ATen.h>

#include "format/base/fail.h"
#include "train/kernels/elementwise.h"

namespace organ::train {

void Embedding::set_virtual_tokens(std::int64_t count, const Parameter& prompt) {
  virtual_tokens_ = count;
  prompt_ = prompt;
}

void Embedding::bind(const Parameter& tokens, const Parameter& positions) {
  tokens_ = tokens.value;
  token_gradient_ = tokens.gradient;
  positions_ = positions.value;
  position_gradient_ = positions.gradient;
}

void Embedding::check_ids(const Batch& batch) const {
  const std::int64_t vocabulary = vocab_size();
  const std::int64_t* ids = batch.ids.const_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < batch.tokens(); ++i) {
    if (ids[i] < -virtual_tokens_ || ids[i] >= vocabulary) {
      fail(ErrorCode::invalid_argument, "position {}: token id {} but the vocabulary has {}", i,
           ids[i], vocabulary);
    }
  }
}

at::Tensor Embedding::forward(const Batch& batch) const {
  check_ids(batch);
  at::Tensor x =
      kernels::look_up(tokens_, virtual_tokens_ > 0 ? batch.ids.clamp_min(0) : batch.ids);
  if (virtual_tokens_ > 0) put_prompt(batch, x);
  if (common_.defined()) x.add_(common_);
  if (positions_.defined()) kernels::add_looked_up(x, positions_, document_positions(batch));
  return norm_ ? norm_->forward(x, at::kFloat, nullptr) : x;
}

void Embedding::put_prompt(const Batch& batch, at::Tensor& x) const {
  const at::Tensor places = at::nonzero(batch.ids.lt(0)).squeeze(1);
  if (places.numel() == 0) return;
  if (!prompt_.value.defined()) {
    x.index_fill_(0, places.to(x.device()), 0);
    return;
  }
  const at::Tensor rows = batch.ids.index_select(0, places).neg_().sub_(1);
  x.index_copy_(0, places.to(x.device()), kernels::look_up(prompt_.value, rows));
}

void Embedding::backward(const at::Tensor& dx, const Batch& batch) const {
  const auto add = [&](const at::Tensor& gradient, const at::Tensor& which, bool inverted) {
    if (!gradient.defined()) return;
    const at::Tensor places = at::nonzero(which).squeeze(1);
    const at::Tensor ids = batch.ids.index_select(0, places);
    kernels::add_to_rows(gradient, inverted ? ids.neg().sub_(1) : ids,
                         dx.index_select(0, places.to(dx.device())));
  };
  add(token_gradient_, batch.ids.ge(0), false);
  add(prompt_.gradient, batch.ids.lt(0), true);
  if (position_gradient_.defined()) {
    kernels::add_to_rows(position_gradient_, document_positions(batch), dx);
  }
}

at::Tensor Embedding::document_positions(const Batch& batch) const {
  const std::int32_t* first =
      batch.first_key.defined() ? batch.first_key.const_data_ptr<int>() : nullptr;
  at::Tensor rows = kernels::empty({batch.tokens()}, at::kLong);
  auto* row = rows.mutable_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < batch.tokens(); ++i) {
    row[i] = batch.past + i % batch.length - (first ? first[i] : 0);
    if (row[i] >= positions_.size(0)) {
      fail(ErrorCode::invalid_argument, "a document reaches position {} but the model has {}",
           row[i], positions_.size(0));
    }
  }
  return rows;
}

}  // namespace organ::train
