// SPDX-License-Identifier: Apache-2.0
// Attention off the CPU: the same blocks of queries, all (row, key head) pairs at once, so that a
// device gets few and large operations.
#include <algorithm>
#include <limits>
#include <utility>

#include <ATen/ATen.h>

#include "train/kernels/attention.h"
#include "train/kernels/product.h"

namespace organ::train {
namespace {

using kernels::HeadLayout;
using kernels::Heads;

// Scores that lie in memory at once, and the queries per block that this leaves.
constexpr std::int64_t kScores = std::int64_t{1} << 27;
constexpr std::int64_t kMostQueries = 512;

std::int64_t queries_per_block(const HeadLayout& layout) {
  const std::int64_t per_query = layout.groups() * layout.group * layout.keys();
  return std::clamp<std::int64_t>(kScores / per_query, 1, kMostQueries);
}

// The bounds of all queries, int32 [rows, length], on the device.
struct Bounds {
  at::Tensor first, end;
  Bounds(const VisibleKeys& spans, const HeadLayout& layout, at::Device device) {
    const at::Tensor host = kernels::empty({2, layout.rows, layout.length}, at::kInt);
    std::int32_t* number = host.mutable_data_ptr<std::int32_t>();
    const std::int64_t n = layout.rows * layout.length;
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int64_t row = i / layout.length, query = i % layout.length;
      number[i] = static_cast<std::int32_t>(spans.first(row, query));
      number[n + i] = static_cast<std::int32_t>(spans.end(row, query));
    }
    const at::Tensor moved = host.to(device);
    first = moved[0];
    end = moved[1];
  }
};

// Queries [begin, begin + count) of every row and the keys that any of them sees.
struct Block {
  const HeadLayout& layout;
  std::int64_t begin, count, first_key, keys;

  Block(const HeadLayout& heads, const VisibleKeys& spans, std::int64_t index)
      : layout(heads),
        begin(index * queries_per_block(heads)),
        count(std::min(queries_per_block(heads), heads.length - begin)) {
    std::int64_t end_key = 0;
    first_key = std::numeric_limits<std::int64_t>::max();
    for (std::int64_t row = 0; row < heads.rows; ++row) {
      first_key = std::min(first_key, spans.lowest(row, begin, begin + count));
      end_key = std::max(end_key, spans.highest(row, begin, begin + count));
    }
    keys = end_key - first_key;
  }

  // Of a tensor [groups, queries or keys, …].
  at::Tensor queries(const at::Tensor& all) const {
    return all.narrow(1, begin * layout.group, count * layout.group);
  }
  at::Tensor visible(const at::Tensor& all) const { return all.narrow(1, first_key, keys); }
  // [groups, count * group, width] as [rows, kv_heads, count, group, width].
  at::Tensor spread(const at::Tensor& rows) const {
    return rows.view({layout.rows, layout.kv_heads, count, layout.group, -1});
  }
  // The block's part of a [tokens, heads * size] matrix, as `spread` orders it.
  at::Tensor tokens(const at::Tensor& all) const {
    return all.view({layout.rows, layout.length, layout.kv_heads, layout.group, layout.head_size})
        .narrow(1, begin, count)
        .permute({0, 2, 1, 3, 4});
  }
  // True where a query does not see a key: [rows, 1, count, 1, keys].
  at::Tensor hidden(const Bounds& bounds) const {
    const at::Tensor key = at::arange(first_key, first_key + keys, bounds.first.options());
    const auto of = [&](const at::Tensor& bound) {
      return bound.narrow(1, begin, count).unsqueeze(2);
    };
    return key.lt(of(bounds.first)).logical_or_(key.ge(of(bounds.end))).unsqueeze(1).unsqueeze(3);
  }
};

std::int64_t block_count(const HeadLayout& layout) {
  const std::int64_t queries = queries_per_block(layout);
  return (layout.length + queries - 1) / queries;
}

// Scores fp32 [rows, kv_heads, count, group, keys] to probabilities; sink fp32 [kv_heads, 1,
// group, 1], share the same with `rows` and `count`.
at::Tensor softmax_with_sinks(const at::Tensor& scores, const at::Tensor& sinks,
                              const at::Tensor& share) {
  const at::Tensor top = at::maximum(scores.amax(-1, /*keepdim=*/true), sinks);
  const at::Tensor weights = (scores - top).exp_(), taken = (sinks - top).exp_();
  const at::Tensor sum = weights.sum(-1, true).add_(taken);
  share.copy_(taken / sum);
  return weights / sum;
}

// What a block's scores get, fp32 [kv_heads, count, group, keys].
at::Tensor block_bias(const Block& block, const at::Tensor& position_bias) {
  const HeadLayout& layout = block.layout;
  const auto numbers = at::TensorOptions().dtype(at::kLong).device(position_bias.device());
  const std::int64_t first_query = layout.past + block.begin;
  const at::Tensor query = at::arange(first_query, first_query + block.count, numbers);
  const at::Tensor key = at::arange(block.first_key, block.first_key + block.keys, numbers);
  const at::Tensor column = key - query.unsqueeze(1) + position_bias.size(1) / 2;
  return position_bias.index_select(1, column.flatten())
      .view({layout.kv_heads, layout.group, block.count, block.keys})
      .transpose(1, 2);
}

at::Tensor block_probabilities(const Block& block, const AttentionTape& tape,
                               const Bounds& bounds) {
  const HeadLayout& layout = block.layout;
  const Heads& heads = tape.heads;
  const at::Tensor product = kernels::batched_product(block.queries(heads.query),
                                                      block.visible(heads.key).transpose(1, 2));
  at::Tensor scores = block.spread(product.to(at::kFloat));
  if (tape.position_bias.defined()) scores = scores + block_bias(block, tape.position_bias);
  scores = scores.masked_fill(block.hidden(bounds), -std::numeric_limits<double>::infinity());
  at::Tensor p;
  if (tape.sinks.defined()) {
    p = softmax_with_sinks(scores, tape.sinks.view({layout.kv_heads, 1, layout.group, 1}),
                           block.spread(block.queries(tape.sink_share)));
  } else {
    p = at::softmax(scores, -1);
  }
  return p.to(product.scalar_type()).view(product.sizes());
}

// Adds to what a block's queries gave: dkey and dvalue fp32, like key and value.
struct Sums {
  at::Tensor dkey, dvalue, dsinks;
};

void add_block(const Block& block, const at::Tensor& p, const at::Tensor& dout,
               const AttentionTape& tape, const at::Tensor& dquery, Sums& sums) {
  const Heads& heads = tape.heads;
  const at::Tensor drows = block.tokens(dout).reshape({p.size(0), p.size(1), -1});
  block.visible(sums.dvalue).add_(kernels::batched_product(p.transpose(1, 2), drows));
  const at::Tensor dp =
      kernels::batched_product(drows, block.visible(heads.value).transpose(1, 2)).to(at::kFloat);
  const at::Tensor probability = p.to(at::kFloat), dot = (dp * probability).sum(-1, true);
  const at::Tensor dscores = (probability * (dp - dot)).to(p.scalar_type());
  if (sums.dsinks.defined()) {
    const at::Tensor lost = block.spread(block.queries(tape.sink_share)) * block.spread(dot);
    sums.dsinks.sub_(lost.sum(at::IntArrayRef{0, 2, 4}).flatten());
  }
  block.queries(dquery).copy_(kernels::batched_product(dscores, block.visible(heads.key)));
  block.visible(sums.dkey).add_(
      kernels::batched_product(dscores.transpose(1, 2), block.queries(heads.query)));
}

}  // namespace

at::Tensor composed_attention(AttentionTape& tape, const HeadLayout& layout,
                              const VisibleKeys& spans, bool keep_probabilities) {
  const Heads& heads = tape.heads;
  const Bounds bounds(spans, layout, heads.query.device());
  if (tape.sinks.defined()) {
    tape.sink_share = at::empty({layout.groups(), layout.length * layout.group},
                                heads.query.options().dtype(at::kFloat));
  }
  at::Tensor out =
      at::empty({layout.rows * layout.length, layout.query_width()}, heads.query.options());
  for (std::int64_t i = 0; i < block_count(layout); ++i) {
    const Block block(layout, spans, i);
    const at::Tensor p = block_probabilities(block, tape, bounds);
    block.tokens(out).copy_(block.spread(kernels::batched_product(p, block.visible(heads.value))));
    if (keep_probabilities) tape.probabilities.push_back(p);
  }
  return out;
}

Heads composed_attention_backward(const at::Tensor& dout, const AttentionTape& tape,
                                  const HeadLayout& layout, const VisibleKeys& spans,
                                  const at::Tensor& dsinks) {
  const Heads& heads = tape.heads;
  const Bounds bounds(spans, layout, dout.device());
  const auto zeros = [&](const at::Tensor& like) {
    return at::zeros(like.sizes(), like.options().dtype(at::kFloat));
  };
  Sums sums{zeros(heads.key), zeros(heads.value), dsinks};
  const at::Tensor dquery = at::empty_like(heads.query);
  for (std::int64_t i = 0; i < block_count(layout); ++i) {
    const Block block(layout, spans, i);
    const at::Tensor p = tape.probabilities.empty()
                             ? block_probabilities(block, tape, bounds)
                             : tape.probabilities[static_cast<std::size_t>(i)];
    add_block(block, p, dout, tape, dquery, sums);
  }
  const auto type = dout.scalar_type();
  return {dquery, sums.dkey.to(type), sums.dvalue.to(type)};
}

}  // namespace organ::train
