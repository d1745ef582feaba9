// SPDX-License-Identifier: Apache-2.0
#include "format/architecture/internal/families.h"

#include <algorithm>
#include <string>

namespace organ::format::internal {
namespace {

using enum Size;

constexpr std::string_view kLlamaBuffers[] = {"self_attn.rotary_emb.inv_freq"};
constexpr std::string_view kGpt2Buffers[] = {"attn.bias", "attn.masked_bias"};
// Written by the first T5 checkpoints; cross attention has no position bias.
constexpr std::string_view kT5Buffers[] = {
    "layer.1.EncDecAttention.relative_attention_bias.weight"};

constexpr std::string_view kGptOssHandled[] = {"num_local_experts", "quantization_config"};
constexpr std::string_view kT5Handled[] = {"is_encoder_decoder"};

// Llama, Mistral and Qwen2 differ only in which biases exist.
constexpr TensorRule kLlamaTensors[] = {
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

constexpr TensorRule kQwen3Tensors[] = {
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
constexpr TensorRule kGpt2Tensors[] = {
    {"attn.c_attn.bias", {fused}},  {"attn.c_attn.weight", {hidden, fused}},
    {"attn.c_proj.bias", {hidden}}, {"attn.c_proj.weight", {queries, hidden}},
    {"ln_1.bias", {hidden}},        {"ln_1.weight", {hidden}},
    {"ln_2.bias", {hidden}},        {"ln_2.weight", {hidden}},
    {"mlp.c_fc.bias", {inner}},     {"mlp.c_fc.weight", {hidden, inner}},
    {"mlp.c_proj.bias", {hidden}},  {"mlp.c_proj.weight", {inner, hidden}},
};

// Plain experts are [in, out]; MXFP4 ones [out, in / 32, 16] with one scale per 32 values. Rows of
// gate_up alternate: gate, up, gate, up.
constexpr TensorRule kGptOssTensors[] = {
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

constexpr TensorRule kBertTensors[] = {
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

constexpr TensorRule kT5EncoderTensors[] = {
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

constexpr TensorRule kT5DecoderTensors[] = {
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

constexpr FamilyLayout llama_layout(std::string_view model_type) {
  return {.model_type = model_type,
          .layer_prefix = "model.layers.",
          .embedding = "model.embed_tokens.weight",
          .final_norm = "model.norm.weight",
          .head = "lm_head.weight",
          .layer_count_key = "num_hidden_layers",
          .optional_prefix = ""};
}

constexpr Family llama_skeleton(std::string_view model_type) {
  return {.layout = llama_layout(model_type),
          .hidden_size = "hidden_size",
          .intermediate_size = "intermediate_size",
          .heads = "num_attention_heads",
          .kv_heads = "num_key_value_heads",
          .head_dim = "head_dim",
          .max_positions = "max_position_embeddings",
          .norm_epsilon = "rms_norm_eps",
          .activation = "hidden_act",
          .default_kv_heads = 0,
          .default_head_dim = 0,
          .default_max_positions = 2048,
          .default_window = 0,
          .default_epsilon = 1e-6,
          .default_activation = "silu",
          .default_tied = false,
          .norm = "rms",
          .mlp = "gated",
          .position = "rope",
          .qk_norm = "none",
          .attention_bias = BiasRule::by_config,
          .mlp_bias_by_config = false,
          .mlp_bias = false,
          .window = WindowRule::none,
          .tensors = kLlamaTensors,
          .ready_made = kLlamaBuffers};
}

constexpr Family llama() {
  Family family = llama_skeleton("llama");
  family.mlp_bias_by_config = true;
  return family;
}

constexpr Family mistral() {
  Family family = llama_skeleton("mistral");
  family.default_kv_heads = 8;
  family.default_max_positions = 131'072;
  family.default_window = 4096;
  family.attention_bias = BiasRule::none;
  family.window = WindowRule::every_layer;
  return family;
}

constexpr Family qwen2() {
  Family family = llama_skeleton("qwen2");
  family.default_kv_heads = 32;
  family.default_max_positions = 32'768;
  family.default_window = 4096;
  family.attention_bias = BiasRule::qkv;
  family.window = WindowRule::from_layer;
  return family;
}

constexpr Family qwen3() {
  Family family = qwen2();
  family.layout.model_type = "qwen3";
  family.default_head_dim = 128;
  family.qk_norm = "rms_per_head";
  family.attention_bias = BiasRule::by_config;
  family.tensors = kQwen3Tensors;
  return family;
}

constexpr Family gpt2() {
  return {.layout = {.model_type = "gpt2",
                     .layer_prefix = "h.",
                     .embedding = "wte.weight",
                     .position_embedding = "wpe.weight",
                     .final_norm = "ln_f.weight",
                     .head = "lm_head.weight",
                     .layer_count_key = "n_layer",
                     .optional_prefix = "transformer."},
          .hidden_size = "n_embd",
          .intermediate_size = "n_inner",
          .heads = "n_head",
          .kv_heads = "",
          .head_dim = "",
          .max_positions = "n_positions",
          .norm_epsilon = "layer_norm_epsilon",
          .activation = "activation_function",
          .default_kv_heads = 0,
          .default_head_dim = 0,
          .default_max_positions = 1024,
          .default_window = 0,
          .default_epsilon = 1e-5,
          .default_activation = "gelu_new",
          .default_tied = true,
          .norm = "layer",
          .mlp = "plain",
          .position = "learned",
          .qk_norm = "none",
          .attention_bias = BiasRule::qkvo,
          .derived_inner = true,
          .mlp_bias_by_config = false,
          .mlp_bias = true,
          .window = WindowRule::none,
          .tensors = kGpt2Tensors,
          .ready_made = kGpt2Buffers};
}

constexpr Family gpt_oss() {
  Family family = llama_skeleton("gpt_oss");
  family.default_kv_heads = 8;
  family.default_head_dim = 64;
  family.default_max_positions = 131'072;
  family.default_window = 128;
  family.default_epsilon = 1e-5;
  family.default_theta = 150'000;
  family.yarn_by_default = true;
  family.default_attention_bias = true;
  family.mlp = "experts";
  family.mlp_bias = true;
  family.sinks = true;
  family.window = WindowRule::alternating;
  family.handled = kGptOssHandled;
  family.tensors = kGptOssTensors;
  return family;
}

constexpr Family bert() {
  return {.layout = {.model_type = "bert",
                     .layer_prefix = "encoder.layer.",
                     .embedding = "embeddings.word_embeddings.weight",
                     .position_embedding = "embeddings.position_embeddings.weight",
                     .final_norm = "",  // the last layer ends with its own
                     .head = "cls.predictions.decoder.weight",
                     .layer_count_key = "num_hidden_layers",
                     .token_types = "embeddings.token_type_embeddings.weight",
                     .embedding_norm = "embeddings.LayerNorm",
                     .head_transform = "cls.predictions.transform",
                     .head_bias = "cls.predictions.bias",
                     .optional_prefix = "bert."},
          .hidden_size = "hidden_size",
          .intermediate_size = "intermediate_size",
          .heads = "num_attention_heads",
          .kv_heads = "",
          .head_dim = "",
          .max_positions = "max_position_embeddings",
          .norm_epsilon = "layer_norm_eps",
          .activation = "hidden_act",
          .default_kv_heads = 0,
          .default_head_dim = 0,
          .default_max_positions = 512,
          .default_window = 0,
          .default_epsilon = 1e-12,
          .default_activation = "gelu",
          .default_tied = true,
          .norm = "layer",
          .norm_placement = "post",
          .mlp = "plain",
          .position = "learned",
          .qk_norm = "none",
          .sight = "bidirectional",
          .attention_bias = BiasRule::qkvo,
          .mlp_bias_by_config = false,
          .mlp_bias = true,
          .window = WindowRule::none,
          .tensors = kBertTensors,
          .ready_made = {}};
}

constexpr Family t5_encoder() {
  return {.layout = {.model_type = "t5",
                     .stack = "encoder",
                     .layer_prefix = "encoder.block.",
                     .embedding = "shared.weight",
                     .final_norm = "encoder.final_layer_norm.weight",
                     .head = "lm_head.weight",
                     .layer_count_key = "num_layers",
                     .optional_prefix = "",
                     .shared_tensor = "layer.0.SelfAttention.relative_attention_bias.weight",
                     .files_tie_head = true},
          .hidden_size = "d_model",
          .intermediate_size = "d_ff",
          .heads = "num_heads",
          .kv_heads = "",
          .head_dim = "d_kv",
          .max_positions = "n_positions",
          .norm_epsilon = "layer_norm_epsilon",
          .activation = "feed_forward_proj",
          .default_kv_heads = 0,
          .default_head_dim = 64,
          .default_max_positions = 512,
          .default_window = 0,
          .default_epsilon = 1e-6,
          .default_activation = "relu",
          .default_tied = true,
          .norm = "rms",
          .mlp = "",
          .position = "relative",
          .qk_norm = "none",
          .sight = "bidirectional",
          .attention_bias = BiasRule::none,
          .mlp_bias_by_config = false,
          .mlp_bias = false,
          .attention_scale = 1,
          .window = WindowRule::none,
          .handled = kT5Handled,
          .tensors = kT5EncoderTensors,
          .ready_made = {}};
}

constexpr Family t5_decoder() {
  Family family = t5_encoder();
  family.layout.stack = "decoder";
  family.layout.layer_prefix = "decoder.block.";
  family.layout.final_norm = "decoder.final_layer_norm.weight";
  family.layout.layer_count_key = "num_decoder_layers";
  family.other_layer_count = "num_layers";
  family.sight = "full";
  family.cross_attention = true;
  family.tensors = kT5DecoderTensors;
  family.ready_made = kT5Buffers;
  return family;
}

constexpr std::array kFamilies = {bert(),  gpt2(),  gpt_oss(),    llama(),     mistral(),
                                  qwen2(), qwen3(), t5_decoder(), t5_encoder()};

// A stack goes by its short name or by that of its list of tensors.
bool is_called(const FamilyLayout& layout, std::string_view stack) {
  const std::string list = std::string(stack) + '.';
  return stack.empty() || layout.stack == stack || layout.layer_prefix == list ||
         std::string(layout.optional_prefix) + std::string(layout.layer_prefix) == list;
}

}  // namespace

std::span<const Family> families() { return kFamilies; }

const Family* family_of(std::string_view model_type, std::string_view stack) {
  const auto found = std::find_if(kFamilies.begin(), kFamilies.end(), [&](const Family& family) {
    return family.layout.model_type == model_type && is_called(family.layout, stack);
  });
  return found == kFamilies.end() ? nullptr : &*found;
}

}  // namespace organ::format::internal
