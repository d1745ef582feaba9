// SPDX-License-Identifier: Apache-2.0
// The tensors of each family's layers: names relative to the layer, shapes, conditions.
//
// Every list is sorted bytewise by name: Architecture::tensors() promises that order, and
// Checkpoint searches in it by halves. Shapes are outermost dimension first. Where nothing else is
// said a matrix is [out, in], y = W x + b. A rule without a condition holds for every layer of the
// family. The element type is any floating one (is_floating), but U8 under When::mxfp4. What only
// layer 0 holds for all (FamilyLayout::shared_tensor) and old buffers (Family::ready_made) are on
// no list.
#pragma once

#include "format/architecture/internal/families.h"

namespace organ::format::internal {

using enum Size;

// Llama, Mistral and Qwen2 differ only in which biases exist: Llama's by attention_bias (then all
// four) and mlp_bias of its config, Mistral's never, Qwen2's always on q, k and v. Norms are RMS
// norms, before attention and before the MLP: a scale and no shift. The MLP is
// down(act(gate(x)) * up(x)).
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

// As Llama, but heads of queries and keys are normed before the rotation, by one scale for all
// heads (q_norm, k_norm), and the MLP never has a bias. attention_bias of the config gives all
// four.
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

// Conv1D: [in, out], y = x W + b. c_attn gives queries, keys and values one behind the other,
// c_proj of attn is the output projection. ln_1 stands before attention, ln_2 before the MLP; both
// are LayerNorms. The causal mask of old files (attn.bias, attn.masked_bias) is a buffer.
inline constexpr TensorRule kGpt2Tensors[] = {
    {"attn.c_attn.bias", {fused}},  {"attn.c_attn.weight", {hidden, fused}},
    {"attn.c_proj.bias", {hidden}}, {"attn.c_proj.weight", {queries, hidden}},
    {"ln_1.bias", {hidden}},        {"ln_1.weight", {hidden}},
    {"ln_2.bias", {hidden}},        {"ln_2.weight", {hidden}},
    {"mlp.c_fc.bias", {inner}},     {"mlp.c_fc.weight", {hidden, inner}},
    {"mlp.c_proj.bias", {hidden}},  {"mlp.c_proj.weight", {inner, hidden}},
};

// Plain experts are [in, out]; MXFP4 ones [out, in / 32, 16] with one scale per 32 values. Rows of
// gate_up alternate: gate, up, gate, up. Dimension 0 is the expert. The router gives one logit per
// expert; sinks hold one learned logit per query head. Only the experts are ever MXFP4: biases,
// router and attention are stored as floating numbers in both forms.
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

// Norms are LayerNorms behind the residual sums: attention.output.LayerNorm behind that of
// attention, output.LayerNorm behind that of the MLP (intermediate.dense, the activation,
// output.dense). Files of 2018 call their tensors gamma and beta; Checkpoint shows them under the
// names of this list.
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

// layer.0 is self-attention, layer.1 the MLP, each with its RMS norm before it; nothing has a bias.
// A plain MLP is wo(act(wi(x))), a gated one wo(act(wi_0(x)) * wi_1(x)). The table of position
// biases of block 0 serves every block and is the shared tensor.
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

// The same with the attention over the encoder's output between the two: layer.1, so that the MLP
// is layer.2. Cross attention reads keys and values from the encoder's last hidden states, of the
// same width, and has no position bias.
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
