// SPDX-License-Identifier: Apache-2.0
#include "train/layers/internal/cross_attention.h"

#include <ATen/ops/stack.h>

#include "train/layers/key_values.h"
#include "train/positions/stream_parts.h"

namespace organ::train {
namespace {

VisibleKeys visible_spans(const Batch& batch, const kernels::HeadLayout& layout) {
  const at::Tensor first =
      batch.first_key.defined() ? target_part(batch.first_key, batch) : at::Tensor();
  const at::Tensor end =
      batch.end_key.defined()
          ? target_part(batch.end_key, batch)
          : kernels::empty({layout.rows * layout.length}, at::kInt).fill_(layout.source);
  return {first, end, layout, 0};
}

}  // namespace

CrossAttention::CrossAttention(const Geometry& g, const LayerAttention& own,
                               const TensorNames& names, const LayerParameters& parameters)
    : heads_(g.heads),
      kv_heads_(g.kv_heads),
      head_size_(g.head_size),
      scale_(own.scale),
      query_(parameters.projection(names.cross_query, g.hidden_size, g.query_width(),
                                   names.orientation)),
      key_value_(parameters.projection(names.cross_key_value, g.hidden_size, 2 * g.kv_width(),
                                       names.orientation)),
      output_(parameters.projection(names.cross_output, g.query_width(), g.hidden_size,
                                    names.orientation)) {}

kernels::HeadLayout CrossAttention::layout(const Batch& batch) const {
  kernels::HeadLayout layout;
  layout.rows = batch.rows;
  layout.length = batch.length - batch.source;
  layout.kv_heads = kv_heads_;
  layout.group = heads_ / kv_heads_;
  layout.head_size = head_size_;
  layout.source = batch.source;
  return layout;
}

at::Tensor CrossAttention::key_value(const at::Tensor& source,
                                     const kernels::HeadLayout& heads) const {
  return key_value_.forward(source)
      .view({heads.rows, heads.source, 2, kv_heads_, head_size_})
      .permute({2, 0, 3, 1, 4})
      .reshape({2, heads.groups(), heads.source, head_size_});
}

at::Tensor CrossAttention::forward(const at::Tensor& x, const at::Tensor& source,
                                   const Batch& batch, CrossAttentionTape* tape,
                                   KeyValues* cache) const {
  const kernels::HeadLayout heads = layout(batch);
  AttentionTape attended_heads;
  // [rows, length, kv head, member of its group, head size]: the members of a position adjacent.
  attended_heads.heads.query =
      query_.forward(x)
          .mul_(scale_)
          .view({heads.rows, heads.length, kv_heads_, heads.group, head_size_})
          .permute({0, 2, 1, 3, 4})
          .reshape({heads.groups(), heads.length * heads.group, head_size_});
  const auto make = [&] { return key_value(source, heads); };
  const at::Tensor both = cache != nullptr ? cache->of_source(make) : make();
  attended_heads.heads.key = both[0];
  attended_heads.heads.value = both[1];
  const bool keep = tape != nullptr && keep_probabilities(heads, x.element_size());
  at::Tensor attended = attention(attended_heads, heads, visible_spans(batch, heads), keep);
  if (tape != nullptr) {
    tape->attention = std::move(attended_heads);
    if (key_value_.needs_input()) tape->source = source;
    if (output_.needs_input()) tape->attended = attended;
  }
  return output_.forward(attended);
}

CrossAttention::Gradients CrossAttention::backward(const at::Tensor& dout, CrossAttentionTape& tape,
                                                   const Batch& batch,
                                                   const MakeInput& input) const {
  const kernels::HeadLayout heads = layout(batch);
  const at::Tensor dattended = output_.backward(dout, [&] { return tape.attended; });
  const kernels::Heads gradient =
      attention_backward(dattended, tape.attention, heads, visible_spans(batch, heads), {});
  tape.attention = {};
  const at::Tensor dquery =
      gradient.query.view({heads.rows, kv_heads_, heads.length, heads.group, head_size_})
          .permute({0, 2, 1, 3, 4})
          .reshape({heads.rows * heads.length, heads.query_width()})
          .mul_(scale_);
  const at::Tensor dkey_value =
      at::stack({gradient.key, gradient.value})
          .view({2, heads.rows, kv_heads_, heads.source, head_size_})
          .permute({1, 3, 0, 2, 4})
          .reshape({heads.rows * heads.source, 2 * kv_heads_ * head_size_});
  return {query_.backward(dquery, input),
          key_value_.backward(dkey_value, [&] { return tape.source; })};
}

}  // namespace organ::train
