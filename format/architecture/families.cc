// SPDX-License-Identifier: Apache-2.0
#include "format/architecture/internal/families.h"

#include <algorithm>
#include <string>

#include "format/architecture/internal/family_tensors.h"

namespace organ::format::internal {
namespace {

// Cosines and sines are ColossalAI's.
constexpr std::string_view kLlamaBuffers[] = {"self_attn.rotary_emb.inv_freq",
                                              "self_attn.rotary_emb.cos_cached",
                                              "self_attn.rotary_emb.sin_cached"};
constexpr std::string_view kGpt2Buffers[] = {"attn.bias", "attn.masked_bias"};
// Written by the first T5 checkpoints; cross attention has no position bias.
constexpr std::string_view kT5Buffers[] = {
    "layer.1.EncDecAttention.relative_attention_bias.weight"};

constexpr std::string_view kGpt2Handled[] = {"scale_attn_by_inverse_layer_idx",
                                             "scale_attn_weights"};
constexpr std::string_view kGptOssHandled[] = {"num_local_experts", "quantization_config"};
constexpr std::string_view kT5Handled[] = {"is_encoder_decoder"};

// attribute_map of the configuration classes: the alias wins over the key.
constexpr Alias kGpt2Aliases[] = {{"hidden_size", "n_embd"},
                                  {"max_position_embeddings", "n_positions"},
                                  {"num_attention_heads", "n_head"},
                                  {"num_hidden_layers", "n_layer"}};
constexpr Alias kT5Aliases[] = {{"head_dim", "d_kv"},
                                {"hidden_size", "d_model"},
                                {"num_attention_heads", "num_heads"},
                                {"num_hidden_layers", "num_layers"}};
constexpr Alias kGptOssAliases[] = {{"num_experts", "num_local_experts"}};

// Keys without an effect on what a layer computes that these families' own files have.
// reorder_and_upcast_attn says in which type the scores are computed: in fp32, as here they always
// are; the function is the same.
constexpr std::string_view kGpt2Keys[] = {"n_ctx",
                                          "reorder_and_upcast_attn",
                                          "summary_activation",
                                          "summary_first_dropout",
                                          "summary_hidden_size",
                                          "summary_last_dropout",
                                          "summary_proj_to_labels",
                                          "summary_type",
                                          "summary_use_proj"};
constexpr std::string_view kGptOssKeys[] = {"experts_per_token",   "initial_context_length",
                                            "num_experts_per_tok", "swiglu_alpha",
                                            "swiglu_limit",        "sliding_window"};
constexpr std::string_view kQwenKeys[] = {"max_window_layers", "sliding_window",
                                          "use_sliding_window"};
constexpr std::string_view kMistralKeys[] = {"sliding_window"};
constexpr std::string_view kLlamaKeys[] = {"pretraining_tp"};
constexpr std::string_view kBertKeys[] = {
    "directionality",       "pooler_fc_size",       "pooler_num_attention_heads",
    "pooler_num_fc_layers", "pooler_size_per_head", "pooler_type",
    "type_vocab_size"};
constexpr std::string_view kT5Keys[] = {"dense_act_fn",
                                        "feed_forward_proj",
                                        "is_gated_act",
                                        "num_decoder_layers",
                                        "output_past",
                                        "relative_attention_max_distance",
                                        "relative_attention_num_buckets",
                                        "scale_decoder_outputs"};

constexpr FamilyLayout llama_layout(std::string_view model_type) {
  return {.model_type = model_type,
          .layer_prefix = "layers.",
          .embedding = "embed_tokens.weight",
          .final_norm = "norm.weight",
          .head = "lm_head.weight",
          .layer_count_key = "num_hidden_layers",
          .optional_prefix = "model."};
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
  family.keys = kLlamaKeys;
  return family;
}

constexpr Family mistral() {
  Family family = llama_skeleton("mistral");
  family.default_kv_heads = 8;
  family.default_max_positions = 131'072;
  family.default_window = 4096;
  family.attention_bias = BiasRule::none;
  family.window = WindowRule::every_layer;
  family.keys = kMistralKeys;
  return family;
}

constexpr Family qwen2() {
  Family family = llama_skeleton("qwen2");
  family.default_kv_heads = 32;
  family.default_max_positions = 32'768;
  family.default_window = 4096;
  family.attention_bias = BiasRule::qkv;
  family.window = WindowRule::from_layer;
  family.keys = kQwenKeys;
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
          .scale_by_config = true,
          .window = WindowRule::none,
          .handled = kGpt2Handled,
          .aliases = kGpt2Aliases,
          .keys = kGpt2Keys,
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
  family.aliases = kGptOssAliases;
  family.keys = kGptOssKeys;
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
          .keys = kBertKeys,
          .tensors = kBertTensors,
          .ready_made = {}};
}

constexpr Family t5_encoder() {
  return {
      .layout = {.model_type = "t5",
                 .stack = "encoder",
                 .layer_prefix = "encoder.block.",
                 .embedding = "shared.weight",
                 .other_embeddings = {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight"},
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
      .aliases = kT5Aliases,
      .keys = kT5Keys,
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
  family.default_layer_count = 6;
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
