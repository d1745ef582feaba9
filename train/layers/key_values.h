// SPDX-License-Identifier: Apache-2.0
// What a sequence leaves behind for the tokens that follow, so that each costs one position.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "train/kernels/elementwise.h"

namespace organ::train {

// The keys and values of the positions that ran through one layer. Those a sliding window has
// passed stay too: a window is a bound of the queries, and memory is asked for what a full layer
// needs. Empty at first. A copy shares the memory: of the two only one may be extended. Not
// thread-safe.
class KeyValues {
 public:
  // Puts those of `heads` behind the first `past` positions, and all of them into `heads`. `heads`
  // then are views of this memory, good until the next extend(). Room grows twofold, from 256
  // positions on, which copies what is kept. What stood at `past` and behind is overwritten. Throws
  // internal when `past` is more than there is room for; that all before it were put there is the
  // caller's to see to.
  void extend(kernels::Heads& heads, std::int64_t past);
  // What a decoder's layer makes of the source, the same for all its positions: made once. `make`
  // is not called again, whatever it would return; the tensor stays as long as this does.
  const at::Tensor& of_source(const std::function<at::Tensor()>& make);

 private:
  at::Tensor key_, value_;  // working [kv_heads, room for positions, head_size]
  at::Tensor of_source_;
};

}  // namespace organ::train
