// SPDX-License-Identifier: Apache-2.0
// Prefix tuning (arXiv 2101.00190): trained keys and values at virtual positions.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>
#include "train/kernels/elementwise.h"
#include "train/positions/batch.h"
#include "train/weights/parameter.h"

namespace organ::train {

// The trained keys and values of one layer at the virtual positions of a batch. Virtual positions
// are those whose id is negative: -1 - j for the j-th. Shares the tensors that it is made from.
class KeyValuePrefix {
 public:
  // keys_and_values as in Model::prefix_layer; cosine and sine: the rotations of the batch's
  // positions, fp32 [length, head_size / 2]; undefined: none.
  KeyValuePrefix(const Parameter& keys_and_values, const Batch& batch, const at::Tensor& cosine,
                 const at::Tensor& sine);
  // There is no prefix, or no virtual position in the batch: then neither of the two below may be
  // called.
  bool empty() const { return !rows_.defined(); }

  // Puts them in their places among those of the heads. What the layer computed for those places is
  // overwritten. The key is turned by where its document starts in the row, which is all that is
  // missing of its rotation.
  void put_into(kernels::Heads& heads) const;
  // Takes their gradient out of that of the heads: nothing goes on to what entered the layer there.
  // Added to the prefix's gradient where it trains; zero in `gradient` afterwards in any case.
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
