// SPDX-License-Identifier: Apache-2.0
// From token ids to the residual stream.
#pragma once

#include <ATen/core/Tensor.h>

#include "train/internal/model.h"

namespace organ::train {

class Embedding {
 public:
  // tokens: working [vocabulary, hidden]; positions: working [positions, hidden], added to them,
  // or undefined.
  Embedding(at::Tensor tokens, at::Tensor positions)
      : tokens_(std::move(tokens)), positions_(std::move(positions)) {}

  std::int64_t vocab_size() const { return tokens_.size(0); }

  // fp32 [tokens, hidden]. Positions count from the start of each document. Throws
  // invalid_argument for an id outside of the vocabulary, and for a document with more positions
  // than the model has.
  at::Tensor forward(const Batch& batch) const;

 private:
  void add_positions(const Batch& batch, at::Tensor& x) const;

  at::Tensor tokens_, positions_;
};

}  // namespace organ::train
