// SPDX-License-Identifier: Apache-2.0
// Attention as matrix products over blocks of queries, exact, with bounds per query (causality,
// documents, sliding windows). Memory: probabilities of the visible blocks only.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "train/kernels/elementwise.h"
#include "train/kernels/visible_keys.h"

namespace organ::train {

// What goes in, and what backward needs.
struct AttentionTape {
  kernels::Heads heads;
  // One learned logit per query head that joins each softmax (arXiv 2309.17453), fp32; undefined:
  // none. `sink_share`, fp32 [rows * kv_heads, length * group]: the probability it took.
  at::Tensor sinks, sink_share;
  // Added to the scores, fp32 [query heads, 2 n - 1] with n at least the keys: column
  // n - 1 + key - query. Undefined: none. Not together with sinks.
  at::Tensor position_bias;
  // Of each (group, block), off the CPU of each block; or nothing: then they are computed again.
  std::vector<at::Tensor> probabilities;
};

// Whether the probabilities of one layer are few enough to keep for its backward.
bool keep_probabilities(const kernels::HeadLayout& layout, std::int64_t element_size);

// The heads' outputs, working [rows * length, query heads * head_size].
at::Tensor attention(AttentionTape& tape, const kernels::HeadLayout& layout,
                     const VisibleKeys& spans, bool keep_probabilities);

// Gradients of the heads, given that of the output. Adds that of the sinks to `dsinks` (fp32
// [query heads]) when it is defined.
kernels::Heads attention_backward(const at::Tensor& dout, const AttentionTape& tape,
                                  const kernels::HeadLayout& layout, const VisibleKeys& spans,
                                  const at::Tensor& dsinks);

// Both from LibTorch's own operations: what runs where the tensors are not on the CPU. A tape of
// one is not for the other.
at::Tensor composed_attention(AttentionTape& tape, const kernels::HeadLayout& layout,
                              const VisibleKeys& spans, bool keep_probabilities);
kernels::Heads composed_attention_backward(const at::Tensor& dout, const AttentionTape& tape,
                                           const kernels::HeadLayout& layout,
                                           const VisibleKeys& spans, const at::Tensor& dsinks);

}  // namespace organ::train
