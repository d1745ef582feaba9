// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>

#include "format/base/error.h"
#include "train/kernels/internal/composed.h"

namespace organ::train::kernels::composed {
namespace {

// [rows, length, heads, size] turned to its positions (direction 1) or back (-1), times a factor.
at::Tensor turned(const at::Tensor& heads, const at::Tensor& cosine, const at::Tensor& sine,
                  double direction, double factor) {
  const at::Tensor x = floats(heads);
  if (!cosine.defined()) return x.mul(factor).to(heads.scalar_type());
  const auto half = x.chunk(2, -1);
  const at::Tensor c = cosine.unsqueeze(1), s = (sine * direction).unsqueeze(1);
  const at::Tensor first = half[0] * c - half[1] * s, second = half[1] * c + half[0] * s;
  return at::cat({first, second}, -1).mul_(factor).to(heads.scalar_type());
}

// Where q, k and v stand in a packed row, as [rows, length, heads, size] views.
struct PackedViews {
  at::Tensor query, key, value;
  PackedViews(const at::Tensor& packed, const HeadLayout& layout) {
    const std::int64_t d = layout.head_size, q = layout.query_width(), k = layout.kv_heads * d;
    const auto view = [&](std::int64_t column, std::int64_t width) {
      return packed.view({layout.rows, layout.length, -1})
          .narrow(2, column, width)
          .unflatten(2, {width / d, d});
    };
    query = view(0, q);
    key = view(q, k);
    value = view(q + k, k);
  }
};

// [rows, length, kv_heads * group, size] to [rows * kv_heads, length * group, size], and back.
at::Tensor to_groups(const at::Tensor& heads, const HeadLayout& layout, std::int64_t group) {
  return heads.unflatten(2, {layout.kv_heads, group})
      .permute({0, 2, 1, 3, 4})
      .reshape({layout.groups(), layout.length * group, layout.head_size});
}
at::Tensor from_groups(const at::Tensor& groups, const HeadLayout& layout, std::int64_t group) {
  return groups.view({layout.rows, layout.kv_heads, layout.length, group, layout.head_size})
      .permute({0, 2, 1, 3, 4})
      .flatten(2, 3);
}

// Of fp32 numbers.
at::Tensor value(Activation kind, const at::Tensor& x) {
  switch (kind) {
    case Activation::silu: return at::silu(x);
    case Activation::gelu: return at::gelu(x, "none");
    case Activation::gelu_tanh: return at::gelu(x, "tanh");
    case Activation::relu: return at::relu(x);
  }
  throw Error(ErrorCode::internal, "an activation that is not known");
}

at::Tensor input_gradient(Activation kind, const at::Tensor& dout, const at::Tensor& x) {
  switch (kind) {
    case Activation::silu: return at::silu_backward(dout, x);
    case Activation::gelu: return at::gelu_backward(dout, x, "none");
    case Activation::gelu_tanh: return at::gelu_backward(dout, x, "tanh");
    case Activation::relu: return at::threshold_backward(dout, x, 0);
  }
  throw Error(ErrorCode::internal, "an activation that is not known");
}

}  // namespace

at::Tensor convert(const at::Tensor& x, at::ScalarType type) { return x.to(type); }

at::Tensor add(const at::Tensor& x, const at::Tensor& delta) { return at::add(x, delta); }

at::Tensor look_up(const at::Tensor& table, const at::Tensor& rows) {
  return floats(at::index_select(table, 0, rows.to(table.device())));
}

void add_looked_up(at::Tensor& x, const at::Tensor& table, const at::Tensor& rows) {
  x.add_(at::index_select(table, 0, rows.to(table.device())));
}

// Sorted by row first, unlike index_add, whose order on CUDA is nobody's.
void add_to_rows(const at::Tensor& sum, const at::Tensor& rows, const at::Tensor& x) {
  sum.index_put_({rows.to(sum.device())}, x, /*accumulate=*/true);
}

at::Tensor gated(Activation kind, const at::Tensor& gate_up) {
  const auto parts = gate_up.chunk(2, 1);
  const auto type = gate_up.scalar_type();
  const at::Tensor gate = value(kind, floats(parts[0])).to(type);
  return (floats(gate) * parts[1]).to(type);
}

void gated_backward(Activation kind, at::Tensor& gate_up, const at::Tensor& dout) {
  const auto parts = gate_up.chunk(2, 1);
  const at::Tensor gate = floats(parts[0]), up = floats(parts[1]), d = floats(dout);
  // In fp32 `gate` is a view of what is written.
  const at::Tensor dgate = input_gradient(kind, d * up, gate), dup = d * value(kind, gate);
  parts[0].copy_(dgate);
  parts[1].copy_(dup);
}

at::Tensor activate(Activation kind, const at::Tensor& x) {
  return value(kind, floats(x)).to(x.scalar_type());
}

void activate_backward(Activation kind, at::Tensor& x, const at::Tensor& dout) {
  x.copy_(input_gradient(kind, floats(dout), floats(x)));
}

Heads split_heads(const at::Tensor& packed, const HeadLayout& layout, const at::Tensor& cosine,
                  const at::Tensor& sine, double scale) {
  const PackedViews parts(packed, layout);
  return {to_groups(turned(parts.query, cosine, sine, 1, scale), layout, layout.group),
          to_groups(turned(parts.key, cosine, sine, 1, 1), layout, 1),
          to_groups(parts.value, layout, 1)};
}

at::Tensor merge_head_gradients(const Heads& gradient, const HeadLayout& layout,
                                const at::Tensor& cosine, const at::Tensor& sine, double scale) {
  at::Tensor packed =
      at::empty({layout.rows * layout.length, layout.packed_width()}, gradient.query.options());
  const PackedViews parts(packed, layout);
  parts.query.copy_(
      turned(from_groups(gradient.query, layout, layout.group), cosine, sine, -1, scale));
  parts.key.copy_(turned(from_groups(gradient.key, layout, 1), cosine, sine, -1, 1));
  parts.value.copy_(from_groups(gradient.value, layout, 1));
  return packed;
}

}  // namespace organ::train::kernels::composed
