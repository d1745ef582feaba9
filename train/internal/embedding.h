// SPDX-License-Identifier: Apache-2.0
// From token ids to the residual stream.
#pragma once

#include <optional>

#include <ATen/core/Tensor.h>

#include "train/internal/model.h"
#include "train/internal/normalization.h"

namespace organ::train {

class Embedding {
 public:
  // tokens: working [vocabulary, hidden]. Added to each of them: `common`, working [hidden], and a
  // row of `positions`, working [positions, hidden], where defined. `norm` comes last.
  Embedding(at::Tensor tokens, at::Tensor positions, at::Tensor common = {},
            std::optional<Normalization> norm = {})
      : tokens_(std::move(tokens)),
        positions_(std::move(positions)),
        common_(std::move(common)),
        norm_(std::move(norm)) {}

  std::int64_t vocab_size() const { return tokens_.size(0); }

  // fp32 [tokens, hidden]. Positions count from the start of each document. Throws
  // invalid_argument for an id outside of the vocabulary, and for a document with more positions
  // than the model has.
  at::Tensor forward(const Batch& batch) const;

 private:
  void add_positions(const Batch& batch, at::Tensor& x) const;

  at::Tensor tokens_, positions_, common_;
  std::optional<Normalization> norm_;
};

}  // namespace organ::train
