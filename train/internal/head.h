// SPDX-License-Identifier: Apache-2.0
// Final norm, output projection and cross-entropy, a few rows and a stretch of the vocabulary at
// a time: the logits of a whole row are there only where they are asked for.
#pragma once

#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "train/internal/model.h"
#include "train/internal/normalization.h"

namespace organ::train {

// What a masked language model does before the norm of its head.
struct HeadTransform {
  Projection dense;
  kernels::Activation activation;
};

class Head {
 public:
  // projection: working [vocabulary, d], maybe the embedding itself; bias: working [vocabulary] or
  // undefined. input_scale: factor of what the projection reads.
  Head(Normalization norm, at::Tensor projection, std::int64_t chunk, at::Tensor bias = {},
       std::optional<HeadTransform> transform = {}, double input_scale = 1)
      : norm_(std::move(norm)),
        projection_(std::move(projection)),
        bias_(std::move(bias)),
        transform_(std::move(transform)),
        chunk_(chunk),
        input_scale_(input_scale) {}

  // The same with every shift of it (norm, transform, bias) a run of zeros: all of its logits of a
  // zero stream are zero.
  Head unshifted() const;

  // See Model::head_loss and Model::logits.
  LossSum loss(const at::Tensor& x, const at::Tensor& targets, double scale, at::Tensor* dx,
               at::Tensor* per_token);
  at::Tensor logits(const at::Tensor& x, const std::vector<std::int64_t>& positions) const;

 private:
  struct Rows;
  // Of ids [first, first + count).
  at::Tensor stretch_logits(const at::Tensor& normed, std::int64_t first, std::int64_t count) const;
  // x fp32 [n, d] to what the projection reads; rows, when given, keep what backward needs.
  at::Tensor prepare(const at::Tensor& x, Rows* rows) const;
  at::Tensor input_gradient(Rows& rows) const;
  double chunk_loss(Rows& rows, std::int64_t first, std::int64_t count, bool gradient);

  Normalization norm_;
  at::Tensor projection_, bias_;
  std::optional<HeadTransform> transform_;
  std::int64_t chunk_;
  double input_scale_;
};

}  // namespace organ::train
