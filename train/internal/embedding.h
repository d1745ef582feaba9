// SPDX-License-Identifier: Apache-2.0
// From token ids to the residual stream.
#pragma once

#include <ATen/core/Tensor.h>

#include "train/internal/model.h"

namespace organ::train {

class Embedding {
 public:
  // tokens: working [vocabulary, hidden]
  explicit Embedding(at::Tensor tokens) : tokens_(std::move(tokens)) {}

  std::int64_t vocab_size() const { return tokens_.size(0); }

  // fp32 [tokens, hidden]. Throws invalid_argument for an id outside of the vocabulary.
  at::Tensor forward(const Batch& batch) const;

 private:
  at::Tensor tokens_;
};

}  // namespace organ::train
