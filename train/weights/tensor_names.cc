// SPDX-License-Identifier: Apache-2.0
#include "train/weights/tensor_names.h"

#include <algorithm>
#include <array>

#include "format/base/fail.h"

namespace organ::train {

namespace {

constexpr std::array<std::string_view, 18> kLlamaOrder = {
    "self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight",
    "self_attn.q_proj.bias",   "self_attn.k_proj.bias",   "self_attn.v_proj.bias",
    "self_attn.o_proj.weight", "self_attn.o_proj.bias",   "self_attn.q_norm.weight",
    "self_attn.k_norm.weight", "mlp.gate_proj.weight",    "mlp.up_proj.weight",
    "mlp.gate_proj.bias",      "mlp.up_proj.bias",        "mlp.down_proj.weight",
    "mlp.down_proj.bias",      "input_layernorm.weight",  "post_attention_layernorm.weight",
};

constexpr std::array<std::string_view, 12> kGpt2Order = {
    "attn.c_attn.weight", "attn.c_attn.bias", "attn.c_proj.weight", "attn.c_proj.bias",
    "mlp.c_fc.weight",    "mlp.c_fc.bias",    "mlp.c_proj.weight",  "mlp.c_proj.bias",
    "ln_1.weight",        "ln_1.bias",        "ln_2.weight",        "ln_2.bias",
};

constexpr std::array<std::string_view, 17> kGptOssOrder = {
    "self_attn.q_proj.weight",
    "self_attn.k_proj.weight",
    "self_attn.v_proj.weight",
    "self_attn.q_proj.bias",
    "self_attn.k_proj.bias",
    "self_attn.v_proj.bias",
    "self_attn.o_proj.weight",
    "self_attn.o_proj.bias",
    "self_attn.sinks",
    "mlp.router.weight",
    "mlp.router.bias",
    "mlp.experts.gate_up_proj",
    "mlp.experts.gate_up_proj_bias",
    "mlp.experts.down_proj",
    "mlp.experts.down_proj_bias",
    "input_layernorm.weight",
    "post_attention_layernorm.weight",
};

constexpr std::array<std::string_view, 16> kBertOrder = {
    "attention.self.query.weight",
    "attention.self.key.weight",
    "attention.self.value.weight",
    "attention.self.query.bias",
    "attention.self.key.bias",
    "attention.self.value.bias",
    "attention.output.dense.weight",
    "attention.output.dense.bias",
    "intermediate.dense.weight",
    "intermediate.dense.bias",
    "output.dense.weight",
    "output.dense.bias",
    "attention.output.LayerNorm.weight",
    "attention.output.LayerNorm.bias",
    "output.LayerNorm.weight",
    "output.LayerNorm.bias",
};

constexpr std::array<std::string_view, 8> kT5EncoderOrder = {
    "layer.0.SelfAttention.q.weight",   "layer.0.SelfAttention.k.weight",
    "layer.0.SelfAttention.v.weight",   "layer.0.SelfAttention.o.weight",
    "layer.1.DenseReluDense.wi.weight", "layer.1.DenseReluDense.wo.weight",
    "layer.0.layer_norm.weight",        "layer.1.layer_norm.weight",
};

constexpr std::array<std::string_view, 9> kT5GatedEncoderOrder = {
    "layer.0.SelfAttention.q.weight",     "layer.0.SelfAttention.k.weight",
    "layer.0.SelfAttention.v.weight",     "layer.0.SelfAttention.o.weight",
    "layer.1.DenseReluDense.wi_0.weight", "layer.1.DenseReluDense.wi_1.weight",
    "layer.1.DenseReluDense.wo.weight",   "layer.0.layer_norm.weight",
    "layer.1.layer_norm.weight",
};

constexpr std::array<std::string_view, 13> kT5DecoderOrder = {
    "layer.0.SelfAttention.q.weight",   "layer.0.SelfAttention.k.weight",
    "layer.0.SelfAttention.v.weight",   "layer.0.SelfAttention.o.weight",
    "layer.1.EncDecAttention.q.weight", "layer.1.EncDecAttention.k.weight",
    "layer.1.EncDecAttention.v.weight", "layer.1.EncDecAttention.o.weight",
    "layer.2.DenseReluDense.wi.weight", "layer.2.DenseReluDense.wo.weight",
    "layer.0.layer_norm.weight",        "layer.1.layer_norm.weight",
    "layer.2.layer_norm.weight",
};

constexpr std::array<std::string_view, 14> kT5GatedDecoderOrder = {
    "layer.0.SelfAttention.q.weight",     "layer.0.SelfAttention.k.weight",
    "layer.0.SelfAttention.v.weight",     "layer.0.SelfAttention.o.weight",
    "layer.1.EncDecAttention.q.weight",   "layer.1.EncDecAttention.k.weight",
    "layer.1.EncDecAttention.v.weight",   "layer.1.EncDecAttention.o.weight",
    "layer.2.DenseReluDense.wi_0.weight", "layer.2.DenseReluDense.wi_1.weight",
    "layer.2.DenseReluDense.wo.weight",   "layer.0.layer_norm.weight",
    "layer.1.layer_norm.weight",          "layer.2.layer_norm.weight",
};

// T5's encoder blocks.
constexpr TensorNames t5_encoder(std::span<const std::string_view> order, std::string_view mlp_in) {
  return {.storage_order = order,
          .qkv = "layer.0.SelfAttention.q",
          .attention_output = "layer.0.SelfAttention.o",
          .query_norm = "",
          .key_norm = "",
          .mlp_in = mlp_in,
          .mlp_out = "layer.1.DenseReluDense.wo",
          .attention_norm = "layer.0.layer_norm",
          .mlp_norm = "layer.1.layer_norm",
          .orientation = Orientation::out_in};
}

constexpr TensorNames t5_decoder(std::span<const std::string_view> order, std::string_view mlp_in) {
  TensorNames names = t5_encoder(order, mlp_in);
  names.mlp_out = "layer.2.DenseReluDense.wo";
  names.mlp_norm = "layer.2.layer_norm";
  names.cross_query = "layer.1.EncDecAttention.q";
  names.cross_key_value = "layer.1.EncDecAttention.k";
  names.cross_output = "layer.1.EncDecAttention.o";
  names.cross_norm = "layer.1.layer_norm";
  return names;
}

constexpr TensorNames kKinds[] = {
    {.storage_order = kBertOrder,
     .qkv = "attention.self.query",
     .attention_output = "attention.output.dense",
     .query_norm = "",
     .key_norm = "",
     .mlp_in = "intermediate.dense",
     .mlp_out = "output.dense",
     .attention_norm = "attention.output.LayerNorm",
     .mlp_norm = "output.LayerNorm",
     .orientation = Orientation::out_in},
    {.storage_order = kGpt2Order,
     .qkv = "attn.c_attn",
     .attention_output = "attn.c_proj",
     .query_norm = "",
     .key_norm = "",
     .mlp_in = "mlp.c_fc",
     .mlp_out = "mlp.c_proj",
     .attention_norm = "ln_1",
     .mlp_norm = "ln_2",
     .orientation = Orientation::in_out},
    {.storage_order = kLlamaOrder,
     .qkv = "self_attn.q_proj",
     .attention_output = "self_attn.o_proj",
     .query_norm = "self_attn.q_norm",
     .key_norm = "self_attn.k_norm",
     .mlp_in = "mlp.gate_proj",
     .mlp_out = "mlp.down_proj",
     .attention_norm = "input_layernorm",
     .mlp_norm = "post_attention_layernorm",
     .orientation = Orientation::out_in},
    {.storage_order = kGptOssOrder,
     .qkv = "self_attn.q_proj",
     .attention_output = "self_attn.o_proj",
     .query_norm = "",
     .key_norm = "",
     .mlp_in = "mlp.experts.gate_up_proj",
     .mlp_out = "mlp.experts.down_proj",
     .sinks = "self_attn.sinks",
     .router = "mlp.router",
     .attention_norm = "input_layernorm",
     .mlp_norm = "post_attention_layernorm",
     .orientation = Orientation::out_in},
    t5_encoder(kT5EncoderOrder, "layer.1.DenseReluDense.wi"),
    t5_encoder(kT5GatedEncoderOrder, "layer.1.DenseReluDense.wi_0"),
    t5_decoder(kT5DecoderOrder, "layer.2.DenseReluDense.wi"),
    t5_decoder(kT5GatedDecoderOrder, "layer.2.DenseReluDense.wi_0"),
};

bool names_all(const TensorNames& names, const std::vector<format::LayerTensor>& tensors) {
  const auto& order = names.storage_order;
  return std::all_of(tensors.begin(), tensors.end(), [&](const format::LayerTensor& tensor) {
    return std::find(order.begin(), order.end(), tensor.name) != order.end();
  });
}

}  // namespace

const TensorNames& tensor_names(const std::vector<format::LayerTensor>& tensors) {
  for (const TensorNames& names : kKinds) {
    if (names_all(names, tensors)) return names;
  }
  fail(ErrorCode::incompatible, "training knows no kind of layer that has the tensors {} to {}",
       quote(tensors.front().name), quote(tensors.back().name));
}

}  // namespace organ::train
