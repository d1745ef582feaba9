// SPDX-License-Identifier: Apache-2.0
#include "tests/support/model_configs.h"

#include <stdexcept>
#include <string>

namespace organ::test {
namespace {

using nlohmann::json;

struct Numbers {
  std::string_view name, model_type;
  int hidden, inner, layers, heads, kv_heads, vocabulary, positions;
  double epsilon, theta;
  bool tied;
};

constexpr Numbers kModels[] = {
    {"TinyLlama-1.1B", "llama", 2048, 5632, 22, 32, 4, 32000, 2048, 1e-5, 1e4, false},
    {"Llama-2-7B", "llama", 4096, 11008, 32, 32, 32, 32000, 4096, 1e-5, 1e4, false},
    {"Llama-3.1-8B", "llama", 4096, 14336, 32, 32, 8, 128256, 131072, 1e-5, 5e5, false},
    {"Mistral-7B-v0.1", "mistral", 4096, 14336, 32, 32, 8, 32000, 32768, 1e-5, 1e4, false},
    {"Mistral-7B-v0.3", "mistral", 4096, 14336, 32, 32, 8, 32768, 32768, 1e-5, 1e6, false},
    {"SmolLM2-135M", "llama", 576, 1536, 30, 9, 3, 49152, 8192, 1e-5, 1e5, true},
    {"Qwen2.5-0.5B", "qwen2", 896, 4864, 24, 14, 2, 151936, 32768, 1e-6, 1e6, true},
    {"Qwen3-0.6B", "qwen3", 1024, 3072, 28, 16, 8, 151936, 40960, 1e-6, 1e6, true},
};

json skeleton(const Numbers& model) {
  return {{"architectures", {"ForCausalLM"}},
          {"model_type", model.model_type},
          {"hidden_size", model.hidden},
          {"intermediate_size", model.inner},
          {"num_hidden_layers", model.layers},
          {"num_attention_heads", model.heads},
          {"num_key_value_heads", model.kv_heads},
          {"vocab_size", model.vocabulary},
          {"max_position_embeddings", model.positions},
          {"rms_norm_eps", model.epsilon},
          {"rope_theta", model.theta},
          {"hidden_act", "silu"},
          {"tie_word_embeddings", model.tied},
          {"torch_dtype", "bfloat16"}};
}

json gpt2() {
  return {{"model_type", "gpt2"},
          {"n_embd", 768},
          {"n_layer", 12},
          {"n_head", 12},
          {"n_positions", 1024},
          {"n_ctx", 1024},
          {"n_inner", nullptr},
          {"vocab_size", 50257},
          {"activation_function", "gelu_new"},
          {"layer_norm_epsilon", 1e-5},
          {"scale_attn_weights", true},
          {"attn_pdrop", 0.1}};
}

json gpt_oss() {
  json types = json::array();
  for (int i = 0; i < 24; ++i) types.push_back(i % 2 == 0 ? "sliding_attention" : "full_attention");
  return {{"model_type", "gpt_oss"},
          {"hidden_size", 2880},
          {"intermediate_size", 2880},
          {"num_hidden_layers", 24},
          {"num_attention_heads", 64},
          {"num_key_value_heads", 8},
          {"head_dim", 64},
          {"vocab_size", 201088},
          {"num_local_experts", 32},
          {"num_experts_per_tok", 4},
          {"experts_per_token", 4},
          {"sliding_window", 128},
          {"layer_types", types},
          {"rms_norm_eps", 1e-5},
          {"rope_theta", 150000},
          {"rope_scaling",
           {{"rope_type", "yarn"},
            {"factor", 32.0},
            {"beta_fast", 32.0},
            {"beta_slow", 1.0},
            {"truncate", false},
            {"original_max_position_embeddings", 4096}}},
          {"max_position_embeddings", 131072},
          {"attention_bias", true},
          {"hidden_act", "silu"},
          {"swiglu_limit", 7.0},
          {"tie_word_embeddings", false}};
}

json bert() {
  return {{"model_type", "bert"},      {"hidden_size", 768},
          {"num_hidden_layers", 12},   {"num_attention_heads", 12},
          {"intermediate_size", 3072}, {"hidden_act", "gelu"},
          {"layer_norm_eps", 1e-12},   {"max_position_embeddings", 512},
          {"type_vocab_size", 2},      {"vocab_size", 30522},
          {"pad_token_id", 0},         {"position_embedding_type", "absolute"}};
}

json t5() {
  return {{"model_type", "t5"},
          {"d_model", 768},
          {"d_kv", 64},
          {"d_ff", 3072},
          {"num_layers", 12},
          {"num_heads", 12},
          {"relative_attention_num_buckets", 32},
          {"layer_norm_epsilon", 1e-6},
          {"n_positions", 512},
          {"is_encoder_decoder", true},
          {"decoder_start_token_id", 0},
          {"vocab_size", 32128}};
}

void add_particulars(json& config, std::string_view name) {
  if (name == "Llama-3.1-8B") {
    config["rope_scaling"] = {{"factor", 8.0},
                              {"low_freq_factor", 1.0},
                              {"high_freq_factor", 4.0},
                              {"original_max_position_embeddings", 8192},
                              {"rope_type", "llama3"}};
  }
  if (name == "Mistral-7B-v0.1") config["sliding_window"] = 4096;
  if (name == "Mistral-7B-v0.3") config["sliding_window"] = nullptr;
  if (name == "Qwen3-0.6B") config["head_dim"] = 128;
  if (name.starts_with("Qwen")) {
    config["use_sliding_window"] = false;
    config["sliding_window"] = 32768;
    config["max_window_layers"] = config["num_hidden_layers"];
  }
}

}  // namespace

json model_config(std::string_view name) {
  if (name == "GPT-2") return gpt2();
  if (name == "GPT-OSS-20B") return gpt_oss();
  if (name == "BERT-base") return bert();
  if (name == "T5-base") return t5();
  for (const Numbers& model : kModels) {
    if (model.name != name) continue;
    json config = skeleton(model);
    add_particulars(config, name);
    return config;
  }
  throw std::logic_error("no config of " + std::string(name));
}

}  // namespace organ::test
