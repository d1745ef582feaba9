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

// A batch with its virtual positions.
struct WideBatch {
  Batch batch;
  at::Tensor places;  // int64 [own positions]: where they are in the wide batch

  // Of a stream [tokens of the wide batch, d] the rows of the own positions, and the adjoint, with
  // zeros elsewhere.
  at::Tensor own_rows(const at::Tensor& wide) const;
  at::Tensor spread(const at::Tensor& own) const;
};

// The batch with `count` positions more before each document of each row: their ids are -1 to
// -count, they have no targets. Padding gets none; rows with fewer documents than others are filled
// up with it. Throws internal for a batch that is not whole rows of a causal model.
WideBatch widen(const Batch& batch, std::int64_t count);

}  // namespace organ::train
