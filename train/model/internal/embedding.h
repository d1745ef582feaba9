// SPDX-License-Identifier: Apache-2.0
// From token ids to the residual stream.
#pragma once

#include <optional>

#include <ATen/core/Tensor.h>

#include "train/model/model.h"
#include "train/weights/normalization.h"
#include "train/weights/projection.h"

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

  // Ids -1 to -count are allowed from now on: row -1 - id of `prompt`, value working [count,
  // hidden], or zeros where it is undefined. A count of 0 takes them away.
  void set_virtual_tokens(std::int64_t count, const Parameter& prompt);
  // From now on the tables are these; `positions` is undefined where the model has none. Those with
  // a gradient train from now on.
  void bind(const Parameter& tokens, const Parameter& positions);
  const at::Tensor& tokens() const { return tokens_; }
  const at::Tensor& positions() const { return positions_; }  // undefined: none
  bool trains() const { return prompt_.gradient.defined() || token_gradient_.defined(); }

  // fp32 [tokens, hidden]. Positions count from the start of each document. Throws
  // invalid_argument for an id outside of the vocabulary, and for a document with more positions
  // than the model has. An id is outside when it is not below vocab_size(), or below minus the
  // count of virtual tokens. Positions of virtual tokens count like others.
  at::Tensor forward(const Batch& batch) const;
  // Adds the gradients of what trains; dx fp32 [tokens, hidden]: of forward's result. Not through
  // the norm: of a model that has one, nothing here trains.
  void backward(const at::Tensor& dx, const Batch& batch) const;

 private:
  void check_ids(const Batch& batch) const;
  void put_prompt(const Batch& batch, at::Tensor& x) const;
  // Of each position of the batch, in its document: int64 [tokens], on the CPU.
  at::Tensor document_positions(const Batch& batch) const;

  at::Tensor tokens_, positions_, common_;
  at::Tensor token_gradient_, position_gradient_;  // fp32; undefined: frozen
  std::int64_t virtual_tokens_ = 0;
  Parameter prompt_;
  std::optional<Normalization> norm_;
};

}  // namespace organ::train
