// SPDX-License-Identifier: Apache-2.0
// Final norm, output projection and cross-entropy, a few rows and a stretch of the vocabulary at
// a time: the logits of a whole row are there only where they are asked for.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "train/kernels/cross_entropy.h"
#include "train/model/model.h"
#include "train/weights/normalization.h"

namespace organ::train {

// What a masked language model does before the norm of its head. The norm reads
// activation(dense(x)). Neither dense nor that norm trains.
struct HeadTransform {
  Projection dense;
  kernels::Activation activation;
};

class Head {
 public:
  // projection: working [vocabulary, d], maybe the embedding itself; bias: working [vocabulary] or
  // undefined. input_scale: factor of what the projection reads. chunk: rows at once, at least 1.
  // Shares the tensors.
  Head(Normalization norm, at::Tensor projection, std::int64_t chunk, at::Tensor bias = {},
       std::optional<HeadTransform> transform = {}, double input_scale = 1)
      : norm_(std::move(norm)),
        projection_(std::move(projection)),
        bias_(std::move(bias)),
        transform_(transform ? std::make_shared<const HeadTransform>(std::move(*transform))
                             : nullptr),
        chunk_(chunk),
        input_scale_(input_scale) {}

  // The same with every shift of it (norm, transform, bias) a run of zeros: all of its logits of a
  // zero stream are zero.
  Head unshifted() const;

  const Normalization& norm() const { return norm_; }
  const at::Tensor& projection() const { return projection_; }
  // From now on the weights are these, and loss() adds to their gradients. Of a head without a
  // transform. Throws internal for one with a transform.
  void bind(const Parameter& gamma, const Parameter& beta, const Parameter& projection);

  // See Model::head_loss and Model::logits. x fp32 [tokens, d]; targets int64 [tokens] on the CPU,
  // below 0 where there is none. Without `dx` no gradient is added anywhere; `scale` is a factor of
  // all gradients, not of the sum that is returned. Throws invalid_argument for a target outside of
  // the vocabulary.
  LossSum loss(const at::Tensor& x, const at::Tensor& targets, double scale, at::Tensor* dx,
               at::Tensor* per_token);
  at::Tensor logits(const at::Tensor& x, const std::vector<std::int64_t>& positions) const;

 private:
  struct Rows;
  // Of ids [first, first + count). Working [n, count].
  at::Tensor stretch_logits(const at::Tensor& normed, std::int64_t first, std::int64_t count) const;
  // x fp32 [n, d] to what the projection reads; rows, when given, keep what backward needs.
  at::Tensor prepare(const at::Tensor& x, Rows* rows) const;
  at::Tensor input_gradient(Rows& rows) const;
  // `scale` of the weights' gradients alone. Of rows [first, first + count): returns their NLL in
  // nats, and puts NLL and gradient into `rows`.
  double chunk_loss(Rows& rows, std::int64_t first, std::int64_t count, bool gradient,
                    double scale) const;
  void add_projection_gradient(const kernels::SoftmaxSums& sums, const at::Tensor& normed,
                               const at::Tensor& targets, double scale) const;
  void add_norm_gradient(const Rows& rows, double scale) const;

  Normalization norm_;
  at::Tensor projection_, bias_;
  at::Tensor projection_gradient_;                  // fp32; undefined: frozen
  std::shared_ptr<const HeadTransform> transform_;  // of all copies: it does not train
  std::int64_t chunk_;
  double input_scale_;
};

}  // namespace organ::train
