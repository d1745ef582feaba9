// SPDX-License-Identifier: Apache-2.0
#include "format/internal/families.h"

#include <algorithm>

namespace organ::format::internal {
namespace {

using enum Size;

constexpr std::string_view kLlamaBuffers[] = {"self_attn.rotary_emb.inv_freq"};
constexpr std::string_view kGpt2Buffers[] = {"attn.bias", "attn.masked_bias"};

// Llama, Mistral and Qwen2 differ only in which biases exist.
constexpr TensorRule kLlamaTensors[] = {
    {"input_layernorm.weight", {hidden, none}},
    {"mlp.down_proj.bias", {hidden, none}, When::mlp_bias},
    {"mlp.down_proj.weight", {hidden, inner}},
    {"mlp.gate_proj.bias", {inner, none}, When::mlp_bias},
    {"mlp.gate_proj.weight", {inner, hidden}},
    {"mlp.up_proj.bias", {inner, none}, When::mlp_bias},
    {"mlp.up_proj.weight", {inner, hidden}},
    {"post_attention_layernorm.weight", {hidden, none}},
    {"self_attn.k_proj.bias", {keys, none}, When::qkv_bias},
    {"self_attn.k_proj.weight", {keys, hidden}},
    {"self_attn.o_proj.bias", {hidden, none}, When::output_bias},
    {"self_attn.o_proj.weight", {hidden, queries}},
    {"self_attn.q_proj.bias", {queries, none}, When::qkv_bias},
    {"self_attn.q_proj.weight", {queries, hidden}},
    {"self_attn.v_proj.bias", {keys, none}, When::qkv_bias},
    {"self_attn.v_proj.weight", {keys, hidden}},
};

constexpr TensorRule kQwen3Tensors[] = {
    {"input_layernorm.weight", {hidden, none}},
    {"mlp.down_proj.weight", {hidden, inner}},
    {"mlp.gate_proj.weight", {inner, hidden}},
    {"mlp.up_proj.weight", {inner, hidden}},
    {"post_attention_layernorm.weight", {hidden, none}},
    {"self_attn.k_norm.weight", {head, none}},
    {"self_attn.k_proj.bias", {keys, none}, When::qkv_bias},
    {"self_attn.k_proj.weight", {keys, hidden}},
    {"self_attn.o_proj.bias", {hidden, none}, When::output_bias},
    {"self_attn.o_proj.weight", {hidden, queries}},
    {"self_attn.q_norm.weight", {head, none}},
    {"self_attn.q_proj.bias", {queries, none}, When::qkv_bias},
    {"self_attn.q_proj.weight", {queries, hidden}},
    {"self_attn.v_proj.bias", {keys, none}, When::qkv_bias},
    {"self_attn.v_proj.weight", {keys, hidden}},
};

// Conv1D: [in, out], y = x W + b.
constexpr TensorRule kGpt2Tensors[] = {
    {"attn.c_attn.bias", {fused, none}},  {"attn.c_attn.weight", {hidden, fused}},
    {"attn.c_proj.bias", {hidden, none}}, {"attn.c_proj.weight", {queries, hidden}},
    {"ln_1.bias", {hidden, none}},        {"ln_1.weight", {hidden, none}},
    {"ln_2.bias", {hidden, none}},        {"ln_2.weight", {hidden, none}},
    {"mlp.c_fc.bias", {inner, none}},     {"mlp.c_fc.weight", {hidden, inner}},
    {"mlp.c_proj.bias", {hidden, none}},  {"mlp.c_proj.weight", {inner, hidden}},
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
          .mlp_bias_by_config = false,
          .mlp_bias = true,
          .window = WindowRule::none,
          .tensors = kGpt2Tensors,
          .ready_made = kGpt2Buffers};
}

constexpr std::array kFamilies = {gpt2(), llama(), mistral(), qwen2(), qwen3()};

}  // namespace

std::span<const Family> families() { return kFamilies; }

const Family* family_of(std::string_view model_type) {
  const auto found = std::find_if(kFamilies.begin(), kFamilies.end(), [&](const Family& family) {
    return family.layout.model_type == model_type;
  });
  return found == kFamilies.end() ? nullptr : &*found;
}

}  // namespace organ::format::internal
