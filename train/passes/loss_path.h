// SPDX-License-Identifier: Apache-2.0
// The way of a batch through a model to its loss, and back.
#pragma once

#include <cstdint>

#include "train/model/model.h"

namespace organ::train {

// What a forward pass keeps for its backward: everything, or each layer's input alone, from which
// the layer is computed again (T. Chen et al., arXiv 1604.06174). The bits are the same.
enum class Activations { kept, recomputed };

// Forward and backward from the organ's input to the loss. Layers [first, last) of the model train,
// layers [last, top) pass gradients through.
class LossPath {
 public:
  LossPath(Model& model, std::int64_t first, std::int64_t last, std::int64_t top,
           Activations activations = Activations::kept)
      : model_(model), first_(first), last_(last), top_(top), activations_(activations) {}

  // Adds d(sum NLL x scale)/dw of the trained layers to their gradients.
  LossSum accumulate_gradient(at::Tensor x, const Batch& batch, double scale);
  LossSum loss(at::Tensor x, const Batch& batch);

  // Floating-point operations of one accumulate_gradient per row of `length` positions, the first
  // `source` of them an encoder's; matrix products only, those computed again are not counted. Of
  // virtual positions those of one document a row.
  double flops_per_row(std::int64_t length, std::int64_t source) const;

 private:
  Model& model_;
  std::int64_t first_, last_, top_;
  Activations activations_;
};

}  // namespace organ::train
