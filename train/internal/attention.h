// SPDX-License-Identifier: Apache-2.0
// Causal attention as matrix products over blocks of queries, exact, with a lower bound per query
// (documents, sliding windows). Memory: probabilities of the visible blocks only.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "train/kernels/kernels.h"

namespace organ::train {

// For each flat position the first position of its row that it may attend to.
class VisibleSpans {
 public:
  // first_key: int32 [rows * length] or undefined; window 0 = unlimited.
  VisibleSpans(const at::Tensor& first_key, std::int64_t rows, std::int64_t length,
               std::int64_t window);
  std::int64_t first(std::int64_t row, std::int64_t position) const {
    return first_[static_cast<std::size_t>(row * length_ + position)];
  }
  // The lowest first() of positions [begin, end).
  std::int64_t lowest(std::int64_t row, std::int64_t begin, std::int64_t end) const;

 private:
  std::int64_t length_;
  std::vector<std::int32_t> first_;
};

// What backward needs: the heads, and the probabilities of each (group, block) or nothing, then
// they are computed again.
struct AttentionTape {
  kernels::Heads heads;
  std::vector<at::Tensor> probabilities;
};

// The heads' outputs, working [rows * length, query heads * head_size]. `probabilities` non-null:
// keeps them there.
at::Tensor attention(const kernels::Heads& heads, const kernels::HeadLayout& layout,
                     const VisibleSpans& spans, std::vector<at::Tensor>* probabilities);

// Gradients of the heads, given that of the output.
kernels::Heads attention_backward(const at::Tensor& dout, const AttentionTape& tape,
                                  const kernels::HeadLayout& layout, const VisibleSpans& spans);

}  // namespace organ::train
