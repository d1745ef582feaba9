// SPDX-License-Identifier: Apache-2.0
// The tensors of each family's layers: names relative to the layer, shapes, conditions.
#pragma once

#include "format/architecture/internal/families.h"

namespace organ::format::internal {

using enum Size;

// Llama, Mistral and Qwen2 differ only in which biases exist.
inline constexpr TensorRule kLlamaTensors[] = {
    {"input_layernorm.weight", {hidden}},
    {"mlp.down_proj.bias", {hidden}, When::mlp_bias},
    {"mlp.down_proj.weight", {hidden, inner}},
    {"mlp.gate_proj.bias", {inner}, When::mlp_bias},
    {"mlp.gate_proj.weight", {inner, hidden}},
    {"mlp.up_proj.bias", {inner}, When::mlp_bias},
    {"mlp.up_proj.weight", {inner, hidden}},
    {"post_attention_layernorm.weight", {hidden}},
    {"self_attn.k_proj.bias", {keys}, When::qkv_bias},
    {"self_attn.k_proj.weight", {keys, hidden}},
    {"self_attn.o_proj.bias", {hidden}, When::output_bias},
    {"self_attn.o_proj.weight", {hidden, queries}},
    {"self_attn.q_proj.bias", {queries}, When::qkv_bias},
    {"self_attn.q_proj.weight", {queries, hidden}},
    {"self_attn.v_proj.bias", {keys}, When::qkv_bias},
    {"self_attn.v_proj.weight", {keys, hidden}},
};

inline constexpr TensorRule kQwen3Tensors[] = {
    {"input_layernorm.weight", {hidden}},
    {"mlp.down_proj.weight", {hidden, inner}},
    {"mlp.gate_proj.weight", {inner, hidden}},
    {"mlp.up_proj.weight", {inner, hidden}},
    {"post_attention_layernorm.weight", {hidden}},
    {"self_attn.k_norm.weight", {head}},
    {"self_attn.k_proj.bias", {keys}, When::qkv_bias},
    {"self_attn.k_proj.weight", {keys, hidden}},
    {"self_attn.o_proj.bias", {hidden}, When::output_bias},
    {"self_attn.o_proj.weight", {hidden, queries}},
    {"self_attn.q_norm.weight", {head}},
    {"self_attn.q_proj.bias", {queries}, When::qkv_bias},
    {"self_attn.q_proj.weight", {queries, hidden}},
    {"self_attn.v_proj.bias", {keys}, When::qkv_bias},
    {"self_attn.v_proj.weight", {keys, hidden}},
};

// Conv1D: [in, out], y = x W + b.
inline constexpr TensorRule kGpt2Tensors[] = {
    {"attn.c_attn.bias", {fused}},  {"attn.c_attn.weight", {hidden, fused}},
    {"attn.c_proj.bias", {hidden}}, {"attn.c_proj.weight", {queries, hidden}},
    {"ln_1.bias", {hidden}},        {"ln_1.weight", {hidden}},
    {"ln_2.bias", {hidden}},        {"ln_2.weight", {hidden}},
    {"mlp.c_fc.bias", {inner}},     {"mlp.c_fc.weight", {hidden, inner}},
    {"mlp.c_proj.bias", {hidden}},  {"mlp.c_proj.weight", {inner, hidden}},
};

// Plain experts are [in, out]; MXFP4 ones [out, in / 32, 16] with one scale per 32 values. Rows of
// gate_up alternate: gate, up, gate, up.
inline constexpr TensorRule kGptOssTensors[] = {
    {"input_layernorm.weight", {hidden}},
    {"mlp.experts.down_proj", {experts, inner, hidden}, When::not_mxfp4},
    {"mlp.experts.down_proj_bias", {experts, hidden}},
    {"mlp.experts.down_proj_blocks", {experts, hidden, inner_blocks, block}, When::mxfp4},
    {"mlp.experts.down_proj_scales", {experts, hidden, inner_blocks}, When::mxfp4},
    {"mlp.experts.gate_up_proj", {experts, hidden, gate_up}, When::not_mxfp4},
    {"mlp.experts.gate_up_proj_bias", {experts, gate_up}},
    {"mlp.experts.gate_up_proj_blocks", {experts, gate_up, hidden_blocks, block}, When::mxfp4},
    {"mlp.experts.gate_up_proj_scales", {experts, gate_up, hidden_blocks}, When::mxfp4},
    {"mlp.router.bias", {experts}},
    {"mlp.router.weight", {experts, hidden}},
    {"post_attention_layernorm.weight", {hidden}},
    {"self_attn.k_proj.bias", {keys}, When::qkv_bias},
    {"self_attn.k_proj.weight", {keys, hidden}},
    {"self_attn.o_proj.bias", {hidden}, When::output_bias},
    {"self_attn.o_proj.weight", {hidden, queries}},
    {"self_attn.q_proj.bias", {queries}, When::qkv_bias},
    {"self_attn.q_proj.weight", {queries, hidden}},
    {"self_attn.sinks", {heads}},
    {"self_attn.v_proj.bias", {keys}, When::qkv_bias},
    {"self_attn.v_proj.weight", {keys, hidden}},
};

inline constexpr TensorRule kBertTensors[] = {
    {"attention.output.LayerNorm.bias", {hidden}},
    {"attention.output.LayerNorm.weight", {hidden}},
    {"attention.output.dense.bias", {hidden}},
    {"attention.output.dense.weight", {hidden, queries}},
    {"attention.self.key.bias", {keys}},
    {"attention.self.key.weight", {keys, hidden}},
    {"attention.self.query.bias", {queries}},
    {"attention.self.query.weight", {queries, hidden}},
    {"attention.self.value.bias", {keys}},
    {"attention.self.value.weight", {keys, hidden}},
    {"intermediate.dense.bias", {inner}},
    {"intermediate.dense.weight", {inner, hidden}},
    {"output.LayerNorm.bias", {hidden}},
    {"output.LayerNorm.weight", {hidden}},
    {"output.dense.bias", {hidden}},
    {"output.dense.weight", {hidden, inner}},
};

inline constexpr TensorRule kT5EncoderTensors[] = {
    {"layer.0.SelfAttention.k.weight", {keys, hidden}},
    {"layer.0.SelfAttention.o.weight", {hidden, queries}},
    {"layer.0.SelfAttention.q.weight", {queries, hidden}},
    {"layer.0.SelfAttention.v.weight", {keys, hidden}},
    {"layer.0.layer_norm.weight", {hidden}},
    {"layer.1.DenseReluDense.wi.weight", {inner, hidden}, When::plain},
    {"layer.1.DenseReluDense.wi_0.weight", {inner, hidden}, When::gated},
    {"layer.1.DenseReluDense.wi_1.weight", {inner, hidden}, When::gated},
    {"layer.1.DenseReluDense.wo.weight", {hidden, inner}},
    {"layer.1.layer_norm.weight", {hidden}},
};

inline constexpr TensorRule kT5DecoderTensors[] = {
    {"layer.0.SelfAttention.k.weight", {keys, hidden}},
    {"layer.0.SelfAttention.o.weight", {hidden, queries}},
    {"layer.0.SelfAttention.q.weight", {queries, hidden}},
    {"layer.0.SelfAttention.v.weight", {keys, hidden}},
    {"layer.0.layer_norm.weight", {hidden}},
    {"layer.1.EncDecAttention.k.weight", {keys, hidden}},
    {"layer.1.EncDecAttention.o.weight", {hidden, queries}},
    {"layer.1.EncDecAttention.q.weight", {queries, hidden}},
    {"layer.1.EncDecAttention.v.weight", {keys, hidden}},
    {"layer.1.layer_norm.weight", {hidden}},
    {"layer.2.DenseReluDense.wi.weight", {inner, hidden}, When::plain},
    {"layer.2.DenseReluDense.wi_0.weight", {inner, hidden}, When::gated},
    {"layer.2.DenseReluDense.wi_1.weight", {inner, hidden}, When::gated},
    {"layer.2.DenseReluDense.wo.weight", {hidden, inner}},
    {"layer.2.layer_norm.weight", {hidden}},
};

}  // namespace organ::format::internal
