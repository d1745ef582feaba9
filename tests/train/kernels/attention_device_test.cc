// SPDX-License-Identifier: Apache-2.0
// Attention off the CPU and on it, against the textbook's in fp64 and in bf16 against each other.
#include <cmath>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/TensorIndexing.h>

#include "tests/train/support/kernel_checks.h"
#include "train/kernels/attention.h"

namespace organ::test {
namespace {

using namespace train;
using at::indexing::Slice;

struct AttentionCase {
  const char* name;
  std::int64_t window;
  bool documents, ends, sinks, bias = false;
};

const std::vector<AttentionCase> kAttentionCases = {
    {"causal", 0, false, false, false},   {"window", 7, false, false, false},
    {"documents", 0, true, false, false}, {"bidirectional", 0, false, true, false},
    {"sinks", 0, false, false, true},     {"window, documents, sinks", 5, true, false, true},
    {"bias", 0, true, false, false, true}};

// int32 [2 * 300]: the row's second document begins at 130; the ends of the two.
at::Tensor document_bound(bool end) {
  const at::Tensor bound = at::full({2, 300}, end ? 300 : 0, at::kInt);
  if (end) {
    bound.narrow(1, 0, 130).fill_(130);
  } else {
    bound.narrow(1, 130, 170).fill_(130);
  }
  return bound.flatten();
}

// Whether each query sees each key, bool [rows, 1, length, 1, keys].
at::Tensor seen_keys(const VisibleKeys& spans, const kernels::HeadLayout& layout) {
  at::Tensor seen = at::zeros({layout.rows, 1, layout.length, 1, layout.length}, at::kBool);
  for (std::int64_t row = 0; row < layout.rows; ++row) {
    for (std::int64_t query = 0; query < layout.length; ++query) {
      const std::int64_t first = spans.first(row, query);
      seen[row][0][query][0].narrow(0, first, spans.end(row, query) - first).fill_(true);
    }
  }
  return seen;
}

// The textbook's attention in fp64, all scores at once; inputs are queries, keys, values, sinks,
// gradient of the output, that of the sinks so far, bias; results output, gradients of the first
// three, the sinks' share, gradient of the sinks.
Tensors exact_attention(const Tensors& t, const kernels::HeadLayout& layout,
                        const VisibleKeys& spans) {
  const std::int64_t rows = layout.rows, kv = layout.kv_heads, n = layout.length, g = layout.group;
  const auto wide = [](const at::Tensor& x) { return x.to(at::kDouble); };
  const at::Tensor q = wide(t[0]).view({rows, kv, n * g, -1}),
                   k = wide(t[1]).view({rows, kv, n, -1}), v = wide(t[2]).view({rows, kv, n, -1});
  at::Tensor scores = q.matmul(k.transpose(2, 3)).view({rows, kv, n, g, n});
  if (t[6].defined()) {
    const at::Tensor place = at::arange(n);
    const at::Tensor column = place - place.unsqueeze(1) + t[6].size(1) / 2;
    scores =
        scores + wide(t[6]).view({kv, g, -1}).index({Slice(), Slice(), column}).transpose(1, 2);
  }
  at::Tensor weights = scores.masked_fill(seen_keys(spans, layout).logical_not(), -INFINITY).exp();
  at::Tensor sum = weights.sum(-1, true), taken;
  if (t[3].defined()) {
    taken = wide(t[3]).exp().view({1, kv, 1, g, 1}).expand_as(sum);
    sum = sum + taken;
  }
  const at::Tensor p = (weights / sum).view({rows, kv, n * g, n});
  const auto to_tokens = [&](const at::Tensor& x) {
    return x.view({rows, kv, n, g, -1}).transpose(1, 2).reshape({rows * n, -1});
  };
  const at::Tensor dout =
      wide(t[4]).view({rows, n, kv, g, -1}).transpose(1, 2).reshape({rows, kv, n * g, -1});
  const at::Tensor dp = dout.matmul(v.transpose(2, 3)), dot = (dp * p).sum(-1, true);
  const at::Tensor dscores = p * (dp - dot);
  const auto grouped = [&](const at::Tensor& x) { return x.flatten(0, 1); };
  Tensors results{to_tokens(p.matmul(v)), grouped(dscores.matmul(k)),
                  grouped(dscores.transpose(2, 3).matmul(q)),
                  grouped(p.transpose(2, 3).matmul(dout))};
  if (!t[3].defined()) {
    results.resize(6);
    return results;
  }
  const at::Tensor share = taken / sum;
  const at::Tensor lost = (share * dot.view_as(share)).sum(at::IntArrayRef{0, 2, 4}).flatten();
  results.push_back(share.reshape({rows * kv, n * g}));
  results.push_back(wide(t[5]) - lost);
  return results;
}

// Attention and its gradients; inputs and results as exact_attention has them.
Kernel both_ways(const kernels::HeadLayout& layout, const VisibleKeys& spans, bool keep) {
  return [&layout, &spans, keep](const Tensors& t) {
    AttentionTape tape;
    tape.heads = {t[0], t[1], t[2]};
    tape.sinks = t[3];
    tape.position_bias = t[6];
    const at::Tensor out = attention(tape, layout, spans, keep);
    const kernels::Heads d = attention_backward(t[4], tape, layout, spans, t[5]);
    return Tensors{out, d.query, d.key, d.value, tape.sink_share, t[5]};
  };
}

}  // namespace

TEST_CASE("attention and its gradients") {
  const kernels::HeadLayout layout{2, 300, 2, 3, 8};
  const at::Tensor none;
  in_both([&](auto type) {
    for (const AttentionCase& c : kAttentionCases) {
      for (const bool keep : {true, false}) {
        const std::string name = c.name;
        CAPTURE(name);
        const at::Tensor first = c.documents || c.ends ? document_bound(false) : none;
        const VisibleKeys spans(first, c.ends ? document_bound(true) : none, layout, c.window);
        const double shrink = 0.5;  // scores of the size that a model has
        compare({random({4, 900, 8}, type) * shrink, random({4, 300, 8}, type),
                 random({4, 300, 8}, type), c.sinks ? random({6}) : none, random({600, 48}, type),
                 c.sinks ? random({6}) : none, c.bias ? random({6, 609}) : none},
                both_ways(layout, spans, keep), type == at::kFloat ? 2e-6 : 1e-4,
                type == at::kFloat
                    ? [&](const Tensors& t) { return exact_attention(t, layout, spans); }
                    : Kernel{});
      }
    }
  });
}

// The twin takes queries in blocks of 512: a row of 1,300 has three, the last one short.
TEST_CASE("attention and its gradients over several blocks of queries") {
  constexpr std::int64_t kLength = 1300, kBegin = 700;
  const kernels::HeadLayout layout{1, kLength, 1, 2, 8};
  const at::Tensor none;
  const auto bound = [&](bool end) {
    at::Tensor all = at::full({kLength}, end ? kLength : 0, at::kInt);
    all.narrow(0, end ? 0 : kBegin, end ? kBegin : kLength - kBegin).fill_(kBegin);
    return all;
  };
  for (const AttentionCase& c : kAttentionCases) {
    for (const bool keep : {true, false}) {
      const std::string name = c.name;
      CAPTURE(name);
      CAPTURE(keep);
      const VisibleKeys spans(c.documents || c.ends ? bound(false) : none,
                              c.ends ? bound(true) : none, layout, c.window == 0 ? 0 : 600);
      const double shrink = 0.5;
      compare({random({1, 2 * kLength, 8}) * shrink, random({1, kLength, 8}),
               random({1, kLength, 8}), c.sinks ? random({2}) : none, random({kLength, 16}),
               c.sinks ? random({2}) : none, c.bias ? random({2, 2 * kLength + 9}) : none},
              both_ways(layout, spans, keep), 2e-6,
              [&](const Tensors& t) { return exact_attention(t, layout, spans); });
    }
  }
}

TEST_CASE("attention of one position after others") {
  const kernels::HeadLayout layout{1, 1, 2, 3, 8, 20};
  const VisibleKeys spans({}, {}, layout, 6);
  compare({random({2, 3, 8}), random({2, 21, 8}), random({2, 21, 8})}, [&](const Tensors& t) {
    AttentionTape tape;
    tape.heads = {t[0], t[1], t[2]};
    return Tensors{attention(tape, layout, spans, false)};
  });
}

TEST_CASE("attention to another sequence") {
  const kernels::HeadLayout layout{2, 9, 2, 3, 8, 0, 21};
  const at::Tensor end = at::arange(18, at::kInt).add_(3);
  const VisibleKeys spans({}, end, layout, 0);
  compare({random({4, 27, 8}), random({4, 21, 8}), random({4, 21, 8}), random({18, 48})},
          [&](const Tensors& t) {
            AttentionTape tape;
            tape.heads = {t[0], t[1], t[2]};
            const at::Tensor out = attention(tape, layout, spans, true);
            const kernels::Heads d = attention_backward(t[3], tape, layout, spans, {});
            return Tensors{out, d.query, d.key, d.value};
          });
}

}  // namespace organ::test
