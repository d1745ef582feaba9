// SPDX-License-Identifier: Apache-2.0
// Final norm, output projection and cross-entropy, a few rows at a time: the logits of all
// tokens are never there at once.
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "train/internal/model.h"
#include "train/internal/normalization.h"

namespace organ::train {

class Head {
 public:
  // projection: working [vocabulary, d], maybe the embedding itself.
  Head(Normalization norm, at::Tensor projection, std::int64_t chunk)
      : norm_(std::move(norm)), projection_(std::move(projection)), chunk_(chunk) {}

  // See Model::head_loss and Model::logits.
  LossSum loss(const at::Tensor& x, const at::Tensor& targets, double scale, at::Tensor* dx,
               at::Tensor* per_token);
  at::Tensor logits(const at::Tensor& x, const std::vector<std::int64_t>& positions) const;

 private:
  struct Rows;
  double chunk_loss(Rows& rows, std::int64_t first, std::int64_t count, bool gradient);

  Normalization norm_;
  at::Tensor projection_;
  std::int64_t chunk_;
};

}  // namespace organ::train
