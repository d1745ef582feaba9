// SPDX-License-Identifier: Apache-2.0
#include "format/architecture/internal/config_keys.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "format/architecture/internal/config_values.h"
#include "format/base/fail.h"

namespace organ::format::internal {
namespace {

// What no layer of any family sees; transformers 5.23: fields of PreTrainedConfig, parameters of
// generation, dropout, initial values, and what older versions wrote beside them.
constexpr std::string_view kOutsideLayers[] = {
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_commit_hash",
    "_name_or_path",
    "architectures",
    "assistant_confidence_threshold",
    "assistant_lookbehind",
    "attention_dropout",
    "attention_probs_dropout_prob",
    "attn_implementation",
    "attn_pdrop",
    "bad_words_ids",
    "begin_suppress_tokens",
    "bos_token_id",
    "chunk_size_feed_forward",
    "classifier_dropout",
    "cross_attention_hidden_size",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "dropout",
    "dropout_rate",
    "dtype",
    "early_stopping",
    "embd_pdrop",
    "encoder_no_repeat_ngram_size",
    "encoder_repetition_penalty",
    "eos_token_id",
    "epsilon_cutoff",
    "eta_cutoff",
    "experts_implementation",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "gradient_checkpointing",
    "hidden_dropout",
    "hidden_dropout_prob",
    "id2label",
    "initializer_factor",
    "initializer_range",
    "label2id",
    "length_penalty",
    "mask_token_id",
    "max_length",
    "max_new_tokens",
    "min_length",
    "min_p",
    "name_or_path",
    "no_repeat_ngram_size",
    "num_assistant_tokens",
    "num_assistant_tokens_schedule",
    "num_beam_groups",
    "num_beams",
    "num_labels",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_router_logits",
    "output_scores",
    "pad_token_id",
    "prefix",
    "problem_type",
    "remove_invalid_values",
    "repetition_penalty",
    "resid_pdrop",
    "return_dict",
    "return_dict_in_generate",
    "router_aux_loss_coef",
    "sep_token_id",
    "suppress_tokens",
    "target_lookbehind",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "tie_word_embeddings",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "typical_p",
    "unk_token_id",
    "unsloth_fixed",
    "unsloth_version",
    "use_bfloat16",
    "use_cache",
    "use_return_dict",
    "vocab_size",
};

// Keys of every family that organ reads.
constexpr std::string_view kReadEverywhere[] = {"auto_map", "is_decoder", "layer_types",
                                                "model_type"};
// Of families with rotary positions, and of the others.
constexpr std::string_view kReadWithRope[] = {"original_max_position_embeddings", "rope_parameters",
                                              "rope_scaling", "rope_theta"};
constexpr std::string_view kReadWithoutRope[] = {"position_embedding_type"};

// Outside the layers of known families, and a router's word elsewhere.
constexpr std::string_view kAmbiguous[] = {"min_p", "prefix", "temperature",
                                           "top_k", "top_p",  "typical_p"};

// Members of rope_parameters: what rope_config.cc reads, and a word of how YaRN came about.
constexpr std::string_view kRopeKeys[] = {"attention_factor",
                                          "beta_fast",
                                          "beta_slow",
                                          "factor",
                                          "finetuned",
                                          "high_freq_factor",
                                          "low_freq_factor",
                                          "mscale",
                                          "mscale_all_dim",
                                          "original_max_position_embeddings",
                                          "partial_rotary_factor",
                                          "rope_theta",
                                          "rope_type",
                                          "truncate",
                                          "type"};

bool contains(std::span<const std::string_view> words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

constexpr Harmless kHarmless[] = {
    {"quantization_config", Harmless::Value::null, "null"},
    {"attn_logit_softcapping", Harmless::Value::null, "null"},
    {"final_logit_softcapping", Harmless::Value::null, "null"},
    {"clip_qkv", Harmless::Value::null, "null"},
    {"attention_multiplier", Harmless::Value::null, "null"},
    {"add_cross_attention", Harmless::Value::no, "false"},
    {"is_encoder_decoder", Harmless::Value::no, "false"},
    {"scale_attn_by_inverse_layer_idx", Harmless::Value::no, "false"},
    {"is_causal", Harmless::Value::yes_alone, "true"},  // transformers takes null for false
    {"fusion_config", Harmless::Value::empty, "none"},
    {"transformers_weights", Harmless::Value::null, "null"},  // another file
    {"per_layer_config", Harmless::Value::null, "null"},
    {"pruned_heads", Harmless::Value::empty, "none"},
    {"use_mrope", Harmless::Value::no, "false"},
    {"alibi", Harmless::Value::no, "false"},
    {"scale_attn_weights", Harmless::Value::yes, "true"},
    {"num_experts", Harmless::Value::zero, "0"},
    {"num_local_experts", Harmless::Value::zero, "0"},
    {"n_routed_experts", Harmless::Value::zero, "0"},
    {"partial_rotary_factor", Harmless::Value::one, "1"},
    {"embedding_multiplier", Harmless::Value::one, "1"},
    {"residual_multiplier", Harmless::Value::one, "1"},
    {"logits_scaling", Harmless::Value::one, "1"},
    {"logit_scale", Harmless::Value::one, "1"},
};

bool is_harmless(const Json& value, Harmless::Value wanted) {
  switch (wanted) {
    case Harmless::Value::null: return value.is_null();
    case Harmless::Value::no: return value.is_null() || value == false;
    case Harmless::Value::yes: return value.is_null() || value == true;
    case Harmless::Value::yes_alone: return value == true;
    case Harmless::Value::zero: return value.is_null() || value == 0;
    case Harmless::Value::one: return value.is_null() || value == 1;
    case Harmless::Value::empty: return value.empty();  // null too
  }
  return false;
}

constexpr std::string_view kOwnCode = "auto_map";

}  // namespace

std::span<const Harmless> harmless_keys() { return kHarmless; }

// Code that comes with the model computes what it likes; that of a tokenizer is not asked.
std::vector<std::string> own_code(const JsonObject& config) {
  std::vector<std::string> classes;
  if (config.is_null(kOwnCode)) return classes;
  for (const auto& [name, code] : config.object(kOwnCode).value().items()) {
    if (name == "AutoTokenizer" || name == "AutoProcessor" || name == "AutoImageProcessor")
      continue;
    classes.push_back(code.is_string() ? code.get<std::string>() : name);
  }
  std::sort(classes.begin(), classes.end());
  classes.erase(std::unique(classes.begin(), classes.end()), classes.end());
  return classes;
}

void refuse_unsupported_keys(const JsonObject& config, const Family& family) {
  if (!own_code(config).empty()) refuse_value(config, kOwnCode, "no code of its own");
  for (const Harmless& rule : kHarmless) {
    if (contains(family.handled, rule.key) || !config.has(rule.key)) continue;
    // It turns layers that see everything into causal ones as well.
    const bool other_way = rule.key == "is_causal" && family.sight == "bidirectional";
    if (!is_harmless(config.at(rule.key), other_way ? Harmless::Value::no : rule.value)) {
      refuse_value(config, rule.key, other_way ? "false" : rule.text);
    }
  }
  if (family.position == "rope") return;
  // The same class of transformers can be an encoder and a decoder.
  if (config.optional_boolean("is_decoder").value_or(false)) {
    refuse_value(config, "is_decoder", "false");
  }
  if (config.optional_string("position_embedding_type").value_or("absolute") != "absolute") {
    refuse_value(config, "position_embedding_type", "absolute");
  }
}

Json resolve_aliases(const Json& config, const Family& family) {
  Json resolved = config;
  for (const auto& [name, key] : family.aliases) {
    const Json value = resolved.value(std::string(name), Json());
    if (value.is_null()) continue;
    resolved[std::string(key)] = value;
    resolved.erase(std::string(name));
  }
  return resolved;
}

std::vector<std::string> unknown_keys(const Json& config, const Family& family) {
  const std::string_view own[] = {family.hidden_size,
                                  family.intermediate_size,
                                  family.heads,
                                  family.kv_heads,
                                  family.head_dim,
                                  family.max_positions,
                                  family.norm_epsilon,
                                  family.activation,
                                  family.other_layer_count,
                                  family.layout.layer_count_key};
  const bool rope = family.position == "rope";
  const auto is_known = [&](std::string_view key) {
    return contains(kOutsideLayers, key) || contains(kReadEverywhere, key) || contains(own, key) ||
           contains(family.keys, key) ||
           (rope ? contains(kReadWithRope, key) : contains(kReadWithoutRope, key)) ||
           contains(family.handled, key) ||
           (key == "attention_bias" && family.attention_bias == BiasRule::by_config) ||
           (key == "mlp_bias" && family.mlp_bias_by_config) ||
           std::any_of(std::begin(kHarmless), std::end(kHarmless),
                       [&](const Harmless& rule) { return rule.key == key; }) ||
           std::any_of(family.aliases.begin(), family.aliases.end(),
                       [&](const Alias& alias) { return alias.name == key; });
  };
  std::vector<std::string> unknown;
  for (const auto& [key, value] : config.items()) {
    if (!value.is_null() && !is_known(key)) unknown.push_back(key);
  }
  for (const char* name : {"rope_parameters", "rope_scaling"}) {
    const auto found = config.find(name);
    if (!rope || found == config.end() || !found->is_object()) continue;
    for (const auto& [key, value] : found->items()) {
      if (!value.is_null() && !contains(kRopeKeys, key)) {
        unknown.push_back(fmt::format("{}.{}", name, key));
      }
    }
  }
  std::sort(unknown.begin(), unknown.end());
  return unknown;
}

bool is_outside_layers(std::string_view key) {
  return contains(kOutsideLayers, key) && !contains(kAmbiguous, key);
}

}  // namespace organ::format::internal
