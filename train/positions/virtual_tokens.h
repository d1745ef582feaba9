// SPDX-License-Identifier: Apache-2.0
// Positions that stand before the tokens of each document and are no tokens: those of a prompt
// (arXiv 2104.08691), or the places of trained keys and values (prefix tuning, arXiv 2101.00190).
// To the layers they are positions like others, so that documents, windows and rotations need no
// word about them.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "train/kernels/elementwise.h"
#include "train/model/model.h"

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

// The trained keys and values of one layer at the virtual positions of a batch.
class KeyValuePrefix {
 public:
  // keys_and_values as in Model::prefix_layer; cosine and sine: the rotations of the batch's
  // positions, fp32 [length, head_size / 2]; undefined: none.
  KeyValuePrefix(const Parameter& keys_and_values, const Batch& batch, const at::Tensor& cosine,
                 const at::Tensor& sine);
  bool empty() const { return !rows_.defined(); }

  // Puts them in their places among those of the heads.
  void put_into(kernels::Heads& heads) const;
  // Takes their gradient out of that of the heads: nothing goes on to what entered the layer there.
  void take_gradient(kernels::Heads& gradient) const;

 private:
  at::Tensor turned(const at::Tensor& keys, bool back) const;

  at::Tensor value_, gradient_;  // [count, 2, kv_heads, head_size]
  std::int64_t length_;
  at::Tensor rows_;   // int64 [places]: the row of the batch
  at::Tensor slots_;  // int64 [places]: the position in it
  at::Tensor which_;  // int64 [places]: the virtual position
  // fp32 [places, 1, head_size / 2]: the rotation of the start of each place's document; undefined:
  // all documents start rows, or nothing is rotated.
  at::Tensor cosine_, sine_;
};

}  // namespace organ::train
