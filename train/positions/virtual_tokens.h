// SPDX-License-Identifier: Apache-2.0
// Positions that stand before the tokens of each document and are no tokens: those of a prompt
// (arXiv 2104.08691), or the places of trained keys and values (prefix tuning, arXiv 2101.00190).
// To the layers they are positions like others, so that documents, windows and rotations need no
// word about them.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "train/positions/batch.h"

namespace organ::train {

// Keeps what it made of the batch it was asked for last. Not thread-safe.
class VirtualTokens {
 public:
  explicit VirtualTokens(std::int64_t count) : count_(count) {}

  std::int64_t count() const { return count_; }

  // The batch with `count` positions more before each document of each row: their ids are -1 to
  // -count, they have no targets. Padding gets none; rows with fewer documents than others are
  // filled up with it. Valid until another batch comes.
  const Batch& widened(const Batch& batch);
  // Of a stream [tokens of the widened batch, d] the rows of the batch's own positions, and the
  // adjoint, with zeros elsewhere.
  at::Tensor own_rows(const at::Tensor& wide, const Batch& batch);
  at::Tensor spread(const at::Tensor& own, const Batch& batch);

 private:
  bool holds(const Batch& batch) const;
  void widen(const Batch& batch);

  std::int64_t count_;
  Batch batch_, wide_;
  at::Tensor places_;  // int64 [own positions]: where they are in the widened batch
};

}  // namespace organ::train
