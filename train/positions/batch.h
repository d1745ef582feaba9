// SPDX-License-Identifier: Apache-2.0
// What a model runs over at once: rows of token ids, and what each position is asked for and sees.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

namespace organ::train {

// Rows of equal length, on the CPU wherever the model is. Row r, position t is flat index
// r * length + t everywhere.
struct Batch {
  std::int64_t rows = 0, length = 0;
  // Of an encoder-decoder: the first positions of each row are the encoder's (the source), the
  // others the decoder's (the target). Else 0.
  std::int64_t source = 0;
  // int64 [rows * length]. -1 - j stands for the j-th of the positions that a prompt or prefix puts
  // before a document (train/positions/virtual_tokens.h).
  at::Tensor ids;
  // int64 [rows * length]: the id that the head shall find at t (a causal model: the id at t + 1;
  // a masked one: the id behind the mask), or -1 where there is no target.
  at::Tensor targets;
  // int32 [rows * length]: the lowest position of its row that each query may attend to (start of
  // its document). Undefined: 0 for all. Sliding windows are added by the layer itself.
  at::Tensor first_key;
  // int32 [rows * length]: one past the highest position of its row that each query may attend to,
  // and no sliding window. Undefined: a causal model sees nothing behind the query, a bidirectional
  // one its whole row. Of an encoder-decoder first_key and end_key bound what a position sees of
  // the source; of the target each sees all up to itself.
  at::Tensor end_key;
  std::int64_t past = 0;  // positions of each row that ran before these (decode() alone)

  std::int64_t tokens() const { return rows * length; }
};

// One row of these ids, without targets.
Batch one_sequence(std::span<const std::int64_t> ids);

// These numbers as int64 [n].
at::Tensor index_tensor(const std::vector<std::int64_t>& values);
// The numbers of first_key or end_key, borrowed; null where it is undefined.
const std::int32_t* bounds_of(const at::Tensor& bounds);

}  // namespace organ::train
