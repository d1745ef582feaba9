// SPDX-License-Identifier: Apache-2.0
#include "train/kernels/attention.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "train/kernels/dispatch.h"
#include "train/kernels/product.h"

namespace organ::train {
namespace {

using kernels::HeadLayout;
using kernels::Heads;

// Queries per block: large enough for efficient products, small enough that little above the
// diagonal is computed.
constexpr std::int64_t kBlock = 128;

// Attention probabilities of one layer above this many bytes are computed again in backward
// instead of kept: one more product in eight, for a memory that grows with the square of length.
constexpr std::int64_t kKeptProbabilityBytes = std::int64_t{32} << 20;

std::int64_t blocks_of(const HeadLayout& layout) { return (layout.length + kBlock - 1) / kBlock; }

// One block of queries of one (row, key head) and the keys that any of them sees.
struct HeadBlock {
  std::int64_t group, row, kv_head;
  std::int64_t begin, end;          // queries
  std::int64_t first_key, end_key;  // keys [first_key, end_key)

  HeadBlock(const HeadLayout& layout, const VisibleKeys& spans, std::int64_t g, std::int64_t index)
      : group(g),
        row(g / layout.kv_heads),
        kv_head(g % layout.kv_heads),
        begin(index * kBlock),
        end(std::min(layout.length, begin + kBlock)),
        first_key(spans.lowest(row, begin, end)),
        end_key(spans.highest(row, begin, end)) {}

  std::int64_t keys() const { return end_key - first_key; }
  at::Tensor queries(const at::Tensor& all, const HeadLayout& layout) const {
    return all.select(0, group).narrow(0, begin * layout.group, (end - begin) * layout.group);
  }
  at::Tensor visible(const at::Tensor& all) const {
    return all.select(0, group).narrow(0, first_key, keys());
  }
};

// row_action(row pointer index, first, last) for each query row of the block's score matrix.
template <typename RowAction>
void for_each_query(const HeadBlock& block, const HeadLayout& layout, const VisibleKeys& spans,
                    RowAction action) {
  for (std::int64_t t = block.begin; t < block.end; ++t) {
    const std::int64_t first = spans.first(block.row, t) - block.first_key;
    const std::int64_t last = spans.end(block.row, t) - block.first_key;
    for (std::int64_t m = 0; m < layout.group; ++m) {
      action((t - block.begin) * layout.group + m, first, last);
    }
  }
}

// The sinks and shares of a group's queries; nothing where there are no sinks.
class GroupSinks {
 public:
  GroupSinks(const AttentionTape& tape, const HeadLayout& layout, std::int64_t group)
      : members_(layout.group) {
    if (!tape.sinks.defined()) return;
    sinks_ = kernels::floats(tape.sinks) + group % layout.kv_heads * members_;
    shares_ = kernels::floats(tape.sink_share) + group * layout.length * members_;
  }
  bool none() const { return sinks_ == nullptr; }
  // `query` counts the group's query rows: position x group + member.
  float sink(std::int64_t query) const {
    return none() ? -std::numeric_limits<float>::infinity() : sinks_[query % members_];
  }
  float* share(std::int64_t query) const { return none() ? nullptr : shares_ + query; }

 private:
  std::int64_t members_;
  const float* sinks_ = nullptr;
  float* shares_ = nullptr;
};

// The biases of a group's scores; nothing where there are none.
class GroupBias {
 public:
  GroupBias(const AttentionTape& tape, const HeadLayout& layout, const HeadBlock& block)
      : past_(layout.past + block.begin), first_key_(block.first_key), members_(layout.group) {
    if (!tape.position_bias.defined()) return;
    columns_ = tape.position_bias.size(1);
    const std::int64_t head = block.kv_head * members_;
    zero_ = kernels::floats(tape.position_bias) + head * columns_ + columns_ / 2;
  }
  bool none() const { return zero_ == nullptr; }
  // Of the block's keys, for one query row of its score matrix.
  const float* row(std::int64_t row) const {
    return zero_ + row % members_ * columns_ + first_key_ - (past_ + row / members_);
  }

 private:
  std::int64_t past_, first_key_, members_, columns_ = 0;
  const float* zero_ = nullptr;  // of the first member, of a key at the query's own place
};

at::Tensor block_probabilities(const HeadBlock& block, const AttentionTape& tape,
                               const HeadLayout& layout, const VisibleKeys& spans) {
  at::Tensor scores =
      kernels::product(block.queries(tape.heads.query, layout), block.visible(tape.heads.key).t());
  std::vector<float> scratch(static_cast<std::size_t>(block.keys()));
  const GroupSinks sinks(tape, layout, block.group);
  const GroupBias bias(tape, layout, block);
  kernels::with_type(scores.scalar_type(), [&]<typename T>(T) {
    T* data = kernels::pointer<T>(scores);
    for_each_query(block, layout, spans, [&](auto row, auto first, auto last) {
      if (!bias.none()) {
        return kernels::biased_softmax_row(data + row * block.keys(), bias.row(row), first, last,
                                           block.keys(), scratch.data());
      }
      const std::int64_t query = block.begin * layout.group + row;
      const float share = kernels::softmax_row(data + row * block.keys(), first, last, block.keys(),
                                               sinks.sink(query), scratch.data());
      if (!sinks.none()) *sinks.share(query) = share;
    });
  });
  return scores;
}

enum class Direction { gather, scatter };

// Between the block's queries as adjacent rows and their places in a [tokens, heads * size]
// matrix.
void move_queries(Direction direction, const at::Tensor& rows, const at::Tensor& tokens,
                  const HeadBlock& block, const HeadLayout& layout) {
  const std::int64_t bytes = layout.group * layout.head_size * rows.element_size();
  const std::int64_t stride = layout.kv_heads * bytes;
  auto* compact = static_cast<char*>(rows.data_ptr());
  auto* spread = static_cast<char*>(tokens.data_ptr()) +
                 (block.row * layout.length + block.begin) * stride + block.kv_head * bytes;
  for (std::int64_t t = 0; t < block.end - block.begin; ++t) {
    char* from = direction == Direction::scatter ? compact + t * bytes : spread + t * stride;
    char* to = direction == Direction::scatter ? spread + t * stride : compact + t * bytes;
    std::memcpy(to, from, static_cast<std::size_t>(bytes));
  }
}

// Runs action(i) for i in [0, count) on all threads, each taking the next; every i writes to a
// place of its own, so the order does not matter.
template <typename Action>
void share_work(std::int64_t count, Action action) {
  std::atomic<std::int64_t> next{0};
  at::parallel_for(0, at::get_num_threads(), 1, [&](std::int64_t, std::int64_t) {
    const at::AutoDispatchBelowADInplaceOrView no_autograd;
    for (std::int64_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) action(i);
  });
}

// Gradients of one (row, key head): blocks in order, keys and values summed in fp32.
class GroupBackward {
 public:
  GroupBackward(const at::Tensor& dout, const AttentionTape& tape, const HeadLayout& layout,
                const VisibleKeys& spans, Heads& gradient, at::Tensor& dsinks)
      : dout_(dout),
        tape_(tape),
        layout_(layout),
        spans_(spans),
        gradient_(gradient),
        dsinks_(dsinks) {}

  void run(std::int64_t group) const {
    at::Tensor dkey = at::zeros({layout_.keys(), layout_.head_size}, at::kFloat);
    at::Tensor dvalue = at::zeros_like(dkey);
    for (std::int64_t index = 0; index < blocks_of(layout_); ++index) {
      add_block(HeadBlock(layout_, spans_, group, index), index, dkey, dvalue);
    }
    gradient_.key.select(0, group).copy_(dkey);
    gradient_.value.select(0, group).copy_(dvalue);
  }

 private:
  at::Tensor probabilities(const HeadBlock& block, std::int64_t index) const {
    if (tape_.probabilities.empty()) {
      return block_probabilities(block, tape_, layout_, spans_);
    }
    return tape_.probabilities[static_cast<std::size_t>(block.group * blocks_of(layout_) + index)];
  }

  void add_block(const HeadBlock& block, std::int64_t index, at::Tensor& dkey,
                 at::Tensor& dvalue) const {
    const at::Tensor p = probabilities(block, index);
    at::Tensor drows = kernels::empty({p.size(0), layout_.head_size}, p.scalar_type());
    move_queries(Direction::gather, drows, dout_, block, layout_);
    dvalue.narrow(0, block.first_key, block.keys()).add_(kernels::product(p.t(), drows));
    at::Tensor dscores = kernels::product(drows, block.visible(tape_.heads.value).t());
    const GroupSinks sinks(tape_, layout_, block.group);
    kernels::with_type(p.scalar_type(), [&]<typename T>(T) {
      T* d = kernels::pointer<T>(dscores);
      const T* probability = kernels::pointer<T>(p);
      for_each_query(block, layout_, spans_, [&](auto row, auto first, auto last) {
        const std::int64_t offset = row * block.keys();
        const float dot = kernels::softmax_backward_row(d + offset, probability + offset, first,
                                                        last, block.keys());
        if (sinks.none()) return;
        const std::int64_t query = block.begin * layout_.group + row;
        kernels::floats(dsinks_)[block.group * layout_.group + query % layout_.group] -=
            *sinks.share(query) * dot;
      });
    });
    at::Tensor dquery = block.queries(gradient_.query, layout_);
    dquery.copy_(kernels::product(dscores, block.visible(tape_.heads.key)));
    dkey.narrow(0, block.first_key, block.keys())
        .add_(kernels::product(dscores.t(), block.queries(tape_.heads.query, layout_)));
  }

  const at::Tensor& dout_;
  const AttentionTape& tape_;
  const HeadLayout& layout_;
  const VisibleKeys& spans_;
  Heads& gradient_;
  at::Tensor& dsinks_;  // fp32 [groups, queries per key head]
};

}  // namespace

bool keep_probabilities(const HeadLayout& layout, std::int64_t element_size) {
  const std::int64_t scores = layout.groups() * layout.group * layout.length * layout.keys();
  return scores * element_size <= kKeptProbabilityBytes;
}

at::Tensor attention(AttentionTape& tape, const HeadLayout& layout, const VisibleKeys& spans,
                     bool keep_probabilities) {
  if (!tape.heads.query.is_cpu()) {
    return composed_attention(tape, layout, spans, keep_probabilities);
  }
  const at::ScalarType type = tape.heads.query.scalar_type();
  if (tape.sinks.defined()) {
    tape.sink_share = kernels::empty({layout.groups(), layout.length * layout.group}, at::kFloat);
  }
  at::Tensor out = kernels::empty({layout.rows * layout.length, layout.query_width()}, type);
  const std::int64_t blocks = blocks_of(layout), items = layout.groups() * blocks;
  if (keep_probabilities) tape.probabilities.resize(static_cast<std::size_t>(items));
  share_work(items, [&](std::int64_t item) {
    // The last blocks see most keys: they go first, so that the threads end together.
    const std::int64_t group = item % layout.groups(), index = blocks - 1 - item / layout.groups();
    const HeadBlock block(layout, spans, group, index);
    const at::Tensor p = block_probabilities(block, tape, layout, spans);
    move_queries(Direction::scatter, kernels::product(p, block.visible(tape.heads.value)), out,
                 block, layout);
    if (keep_probabilities) {
      tape.probabilities[static_cast<std::size_t>(group * blocks + index)] = p;
    }
  });
  return out;
}

Heads attention_backward(const at::Tensor& dout, const AttentionTape& tape,
                         const HeadLayout& layout, const VisibleKeys& spans,
                         const at::Tensor& dsinks) {
  if (!dout.is_cpu()) return composed_attention_backward(dout, tape, layout, spans, dsinks);
  const at::ScalarType type = dout.scalar_type();
  Heads gradient{kernels::empty(tape.heads.query.sizes(), type),
                 kernels::empty(tape.heads.key.sizes(), type),
                 kernels::empty(tape.heads.value.sizes(), type)};
  at::Tensor sinks_of_groups;
  if (tape.sinks.defined()) {
    sinks_of_groups = at::zeros({layout.groups(), layout.group}, at::kFloat);
  }
  const GroupBackward backward(dout, tape, layout, spans, gradient, sinks_of_groups);
  share_work(layout.groups(), [&](std::int64_t group) { backward.run(group); });
  // Group g is key head g % kv_heads of one row: a row of the sum is all query heads in order.
  if (dsinks.defined()) {
    kernels::accumulate_rows(sinks_of_groups.view({layout.rows, layout.kv_heads * layout.group}),
                             dsinks);
  }
  return gradient;
}

}  // namespace organ::train
