// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <map>
#include <string_view>

#include "format/base/error.h"
#include "train/internal/layer.h"

namespace organ::train {
namespace {

// Storage order: parts of one fused matrix are adjacent.
constexpr std::array<std::string_view, 18> kStorageOrder = {
    "self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight",
    "self_attn.q_proj.bias",   "self_attn.k_proj.bias",   "self_attn.v_proj.bias",
    "self_attn.o_proj.weight", "self_attn.o_proj.bias",   "self_attn.q_norm.weight",
    "self_attn.k_norm.weight", "mlp.gate_proj.weight",    "mlp.up_proj.weight",
    "mlp.gate_proj.bias",      "mlp.up_proj.bias",        "mlp.down_proj.weight",
    "mlp.down_proj.bias",      "input_layernorm.weight",  "post_attention_layernorm.weight",
};

std::vector<std::int64_t> expected_shape(std::string_view name, const Geometry& g) {
  const std::int64_t d = g.hidden_size, f = g.intermediate_size;
  const std::int64_t q = g.query_width(), kv = g.kv_width();
  const bool bias = name.ends_with(".bias");
  const auto matrix = [&](std::int64_t out, std::int64_t in) {
    return bias ? std::vector<std::int64_t>{out} : std::vector<std::int64_t>{out, in};
  };
  if (name.ends_with("layernorm.weight")) return {d};
  if (name.ends_with("_norm.weight")) return {g.head_size};
  if (name.starts_with("self_attn.q_proj")) return matrix(q, d);
  if (name.starts_with("self_attn.o_proj")) return matrix(d, q);
  if (name.starts_with("self_attn.")) return matrix(kv, d);
  if (name.starts_with("mlp.down_proj")) return matrix(d, f);
  return matrix(f, d);
}

ParameterSlot make_slot(std::string_view name, const Geometry& geometry, std::int64_t offset) {
  ParameterSlot slot{std::string(name), expected_shape(name, geometry), offset, 1, true};
  for (const std::int64_t size : slot.shape) slot.elements *= size;
  slot.decay = slot.shape.size() == 2;
  return slot;
}

// `rows` x `columns` numbers (columns 0: a vector) that start at the slot called `first`.
at::Tensor view_from(const at::Tensor& flat, const std::vector<ParameterSlot>& layout,
                     std::string_view first, std::int64_t rows, std::int64_t columns) {
  for (const ParameterSlot& slot : layout) {
    if (slot.name != first) continue;
    const std::int64_t elements = rows * (columns == 0 ? 1 : columns);
    const at::Tensor run = flat.narrow(0, slot.offset, elements);
    return columns == 0 ? run : run.view({rows, columns});
  }
  return {};
}

}  // namespace

std::vector<ParameterSlot> llama_layout(const std::vector<format::LayerTensor>& tensors,
                                        const Geometry& geometry) {
  std::map<std::string_view, const format::LayerTensor*> listed;
  for (const format::LayerTensor& tensor : tensors) listed.emplace(tensor.name, &tensor);
  std::vector<ParameterSlot> layout;
  std::int64_t offset = 0;
  for (const std::string_view name : kStorageOrder) {
    const auto found = listed.find(name);
    if (found == listed.end()) continue;
    layout.push_back(make_slot(name, geometry, offset));
    const auto& shape = found->second->shape;
    check(std::equal(shape.begin(), shape.end(), layout.back().shape.begin(),
                     layout.back().shape.end(),
                     [](std::uint64_t a, std::int64_t b) { return std::cmp_equal(a, b); }),
          "the architecture's tensor shapes contradict its sizes");
    offset += layout.back().elements;
    listed.erase(found);
  }
  if (!listed.empty()) {
    fail(ErrorCode::incompatible, "tensor {}: training knows no such tensor in a Llama-like layer",
         quote(listed.begin()->first));
  }
  return layout;
}

LayerTensors layer_views(const at::Tensor& flat, const std::vector<ParameterSlot>& layout,
                         const Geometry& g) {
  const auto view = [&](std::string_view first, std::int64_t rows, std::int64_t columns) {
    return view_from(flat, layout, first, rows, columns);
  };
  LayerTensors t;
  t.qkv = view("self_attn.q_proj.weight", g.packed_width(), g.hidden_size);
  t.qkv_bias = view("self_attn.q_proj.bias", g.packed_width(), 0);
  t.query_norm = view("self_attn.q_norm.weight", g.head_size, 0);
  t.key_norm = view("self_attn.k_norm.weight", g.head_size, 0);
  t.output = view("self_attn.o_proj.weight", g.hidden_size, g.query_width());
  t.output_bias = view("self_attn.o_proj.bias", g.hidden_size, 0);
  t.gate_up = view("mlp.gate_proj.weight", 2 * g.intermediate_size, g.hidden_size);
  t.gate_up_bias = view("mlp.gate_proj.bias", 2 * g.intermediate_size, 0);
  t.down = view("mlp.down_proj.weight", g.hidden_size, g.intermediate_size);
  t.down_bias = view("mlp.down_proj.bias", g.hidden_size, 0);
  t.attention_norm = view("input_layernorm.weight", g.hidden_size, 0);
  t.mlp_norm = view("post_attention_layernorm.weight", g.hidden_size, 0);
  return t;
}

}  // namespace organ::train
