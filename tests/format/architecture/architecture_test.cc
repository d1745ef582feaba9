// SPDX-License-Identifier: Apache-2.0
#include "format/architecture/architecture.h"

#include <algorithm>
#include <cmath>

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "format/architecture/internal/config_keys.h"
#include "format/base/json.h"
#include "tests/support/architectures.h"
#include "tests/support/model_configs.h"
#include "tests/support/support.h"

namespace organ::format {
namespace {

using test::architecture_of;
using test::error_of;
using test::layer_parameters;
using test::model_config;
using test::refusal_of;
using test::signature_of;
using test::with;

// Per layer and in total, computed from the models' documents (not from this code).
struct Known {
  std::string_view name;
  std::uint64_t per_layer;
};
constexpr Known kKnown[] = {
    {"TinyLlama-1.1B", 44'044'288},
    {"Llama-2-7B", 202'383'360},
    {"Llama-3.1-8B", 218'112'000},
    {"Mistral-7B-v0.1", 218'112'000},
    {"Mistral-7B-v0.3", 218'112'000},
    {"SmolLM2-135M", 3'540'096},
    {"Qwen2.5-0.5B", 14'912'384},
    {"Qwen3-0.6B", 15'730'944},
    {"GPT-2", 7'087'872},
    {"GPT-OSS-20B", 823'186'976},
    {"BERT-base", 7'087'872},
    {"T5-base", 9'439'488},  // a decoder layer
};

TEST_CASE("the parameters of one layer are those the models' documents count") {
  for (const Known& known : kKnown) {
    CAPTURE(known.name);
    CHECK(layer_parameters(architecture_of(model_config(known.name))) == known.per_layer);
  }
}

TEST_CASE("tensor names are sorted and unique in every family") {
  for (const Known& known : kKnown) {
    CAPTURE(known.name);
    const auto model = architecture_of(model_config(known.name));
    const auto& tensors = model.tensors();
    for (std::size_t i = 1; i < tensors.size(); ++i) CHECK(tensors[i - 1].name < tensors[i].name);
  }
}

TEST_CASE("signatures never change silently") {
  // Digests stand in signed organs: a change here makes every published organ unreadable.
  const std::pair<std::string_view, std::string_view> golden[] = {
#include "tests/data/architecture_signatures.inc"
  };
  for (const auto& [key, hex] : golden) {
    const auto& name = key;
    CAPTURE(name);
    CHECK(signature_of(model_config(name)).hex() == hex);
  }
  CHECK(std::size(golden) == std::size(kKnown));
}

TEST_CASE("the canonical text of SmolLM2's fields is what the document says") {
  CHECK(architecture_of(model_config("SmolLM2-135M")).layer_fields(10, 2).text() ==
        R"({"activation":"silu","attention_bias":"none","attention_sinks":false,)"
        R"("attention_types":["full","full"],"experts":0,"head_dim":64,"hidden_size":576,)"
        R"("intermediate_size":1536,"mlp":"gated","mlp_bias":false,"norm":"rms",)"
        R"("norm_epsilon":"0x1.4f8b588e368f1p-17","norm_placement":"pre",)"
        R"("num_attention_heads":9,"num_key_value_heads":3,"position":"rope","qk_norm":"none",)"
        R"("rope_scaling":{"rope_type":"none"},"rope_theta":"0x1.86ap+16",)"
        R"("shared_state":"none","sliding_window":0,)"
        R"("tensors":{"input_layernorm.weight":[576],"mlp.down_proj.weight":[576,1536],)"
        R"("mlp.gate_proj.weight":[1536,576],"mlp.up_proj.weight":[1536,576],)"
        R"("post_attention_layernorm.weight":[576],"self_attn.k_proj.weight":[192,576],)"
        R"("self_attn.o_proj.weight":[576,576],"self_attn.q_proj.weight":[576,576],)"
        R"("self_attn.v_proj.weight":[192,576]}})");
}

TEST_CASE("a Llama layer and a Mistral layer of the same numbers have one signature") {
  Json llama = model_config("Mistral-7B-v0.3");
  llama["model_type"] = "llama";
  llama.erase("sliding_window");
  CHECK(signature_of(llama) == signature_of(model_config("Mistral-7B-v0.3")));
  CHECK(signature_of(llama) != signature_of(model_config("Mistral-7B-v0.1")));
}

TEST_CASE("both generations of config.json mean the same") {
  for (const std::string_view name : {"Llama-3.1-8B", "Qwen3-0.6B", "TinyLlama-1.1B"}) {
    CAPTURE(name);
    const Json old = model_config(name);
    Json now = old;
    now["rope_parameters"] = old.value("rope_scaling", Json()).is_null()
                                 ? Json{{"rope_type", "default"}}
                                 : old["rope_scaling"];
    now["rope_parameters"]["rope_theta"] = old["rope_theta"];
    now.erase("rope_scaling");
    now.erase("rope_theta");
    now["dtype"] = now["torch_dtype"];
    now.erase("torch_dtype");
    CHECK(signature_of(now) == signature_of(old));
  }
  Json typed =
      with(model_config("TinyLlama-1.1B"), "rope_scaling", {{"type", "linear"}, {"factor", 2.0}});
  Json renamed = with(typed, "rope_scaling", {{"rope_type", "linear"}, {"factor", 2}});
  CHECK(signature_of(typed) == signature_of(renamed));
}

TEST_CASE("keys that change nothing change no signature") {
  const Json base = model_config("SmolLM2-135M");
  for (const char* key : {"vocab_size", "max_position_embeddings", "num_hidden_layers"}) {
    CHECK(signature_of(with(base, key, 4096)) == signature_of(base));
  }
  CHECK(signature_of(with(base, "auto_map", {{"AutoTokenizer", "t.py"}})) == signature_of(base));
  CHECK(signature_of(with(base, "is_causal", true)) == signature_of(base));
  CHECK(signature_of(with(base, "attention_dropout", 0.1)) == signature_of(base));
  CHECK(signature_of(with(base, "tie_word_embeddings", false)) == signature_of(base));
  CHECK(signature_of(with(base, "torch_dtype", "float32")) == signature_of(base));
  CHECK(signature_of(with(base, "quantization_config", nullptr)) == signature_of(base));
  CHECK(signature_of(with(base, "rope_theta", 100000)) == signature_of(base));
}

TEST_CASE("each field that makes the function changes the signature") {
  const Json base = model_config("SmolLM2-135M");
  std::vector<Digest> seen{signature_of(base)};
  const auto differs = [&](const Json& config) {
    CAPTURE(config.dump());
    const Digest now = signature_of(config);
    CHECK(std::find(seen.begin(), seen.end(), now) == seen.end());
    seen.push_back(now);
  };
  differs(with(base, "hidden_size", 1152));
  differs(with(base, "intermediate_size", 1537));
  differs(with(with(base, "num_attention_heads", 18), "head_dim", 64));
  differs(with(base, "num_key_value_heads", 9));
  differs(with(base, "head_dim", 32));
  differs(with(base, "rms_norm_eps", 1e-6));
  differs(with(base, "hidden_act", "gelu"));
  differs(with(base, "hidden_act", "gelu_new"));
  differs(with(base, "hidden_act", "relu"));
  differs(with(base, "attention_bias", true));
  differs(with(base, "mlp_bias", true));
  differs(with(base, "rope_theta", 10000.0));
  differs(with(base, "rope_theta", std::nextafter(100000.0, 1e9)));
  differs(with(base, "model_type", "qwen2"));
  differs(with(base, "model_type", "qwen3"));
  differs(with(with(base, "model_type", "mistral"), "sliding_window", 128));
  differs(with(with(base, "model_type", "mistral"), "sliding_window", 129));
  for (const Json& scaling : {Json{{"rope_type", "linear"}, {"factor", 2.0}},
                              Json{{"rope_type", "linear"}, {"factor", 4.0}},
                              Json{{"rope_type", "dynamic"}, {"factor", 2.0}}}) {
    differs(with(base, "rope_scaling", scaling));
  }
  differs(with(with(base, "rope_scaling", {{"rope_type", "dynamic"}, {"factor", 2.0}}),
               "max_position_embeddings", 4096));
}

TEST_CASE("a window belongs to the layers asked for") {
  Json qwen = model_config("Qwen2.5-0.5B");
  CHECK(architecture_of(qwen).attention_type(23) == "full");
  qwen["use_sliding_window"] = true;
  qwen["sliding_window"] = 512;
  qwen["max_window_layers"] = 20;
  const auto model = architecture_of(qwen);
  CHECK(model.attention_type(19) == "full");
  CHECK(model.attention_type(20) == "sliding");
  CHECK(json_of(model.layer_fields(18, 2))["sliding_window"] == 0);
  CHECK(json_of(model.layer_fields(19, 2))["sliding_window"] == 512);
  CHECK(json_of(model.layer_fields(19, 2))["attention_types"] == Json{"full", "sliding"});
  CHECK(signature_of(qwen, 0, 3) == signature_of(model_config("Qwen2.5-0.5B"), 0, 3));
  qwen["sliding_window"] = nullptr;
  CHECK(architecture_of(qwen).attention_type(23) == "full");

  std::vector<std::string> types(24, "full_attention");
  types[3] = "sliding_attention";
  Json listed = with(with(qwen, "layer_types", types), "sliding_window", 512);
  CHECK(architecture_of(listed).attention_type(3) == "sliding");
  CHECK(architecture_of(listed).attention_type(23) == "full");
}

TEST_CASE("Mistral's window is on by default, off when null and for every layer") {
  Json mistral = model_config("Mistral-7B-v0.3");
  CHECK(architecture_of(mistral).spec().window == 0);
  mistral.erase("sliding_window");
  CHECK(architecture_of(mistral).spec().window == 4096);
  CHECK(architecture_of(mistral).attention_type(0) == "sliding");
  mistral["layer_types"] = std::vector<std::string>(32, "full_attention");
  CHECK(refusal_of(mistral).starts_with("incompatible: "));
}

TEST_CASE("null key-value heads are as many as heads, absent ones the default") {
  Json qwen = with(model_config("Qwen2.5-0.5B"), "num_attention_heads", 64);
  qwen = with(with(qwen, "head_dim", 14), "num_key_value_heads", nullptr);
  CHECK(architecture_of(qwen).spec().kv_heads == 64);
  qwen.erase("num_key_value_heads");
  CHECK(architecture_of(qwen).spec().kv_heads == 32);
}

TEST_CASE("absent keys take the family's defaults") {
  Json qwen3 = model_config("Qwen3-0.6B");
  qwen3.erase("head_dim");
  CHECK(architecture_of(qwen3).spec().head_dim == 128);
  Json llama = model_config("Llama-2-7B");
  llama.erase("num_key_value_heads");
  llama.erase("rope_theta");
  llama.erase("hidden_act");
  CHECK(signature_of(llama) == signature_of(model_config("Llama-2-7B")));
  CHECK(architecture_of(model_config("GPT-2")).spec().intermediate_size == 3072);
  CHECK(architecture_of(model_config("GPT-2")).tied_embeddings());
  CHECK(!architecture_of(llama).tied_embeddings());
}

TEST_CASE("what would change the function and is not implemented is refused, not ignored") {
  const Json base = model_config("SmolLM2-135M");
  const std::tuple<const char*, Json, const char*> cases[] = {
      {"model_type", "gemma2", "one of bert, gpt2, gpt_oss, llama, mistral, qwen2, qwen3, t5"},
      {"quantization_config", {{"quant_method", "mxfp4"}}, "expected null"},
      {"auto_map", {{"AutoModelForCausalLM", "modeling.py"}}, "no code of its own"},
      {"is_causal", false, "expected true"},
      {"is_causal", nullptr, "expected true"},
      {"fusion_config", {{"patch", {{"some", "thing"}}}}, "expected none"},
      {"transformers_weights", "other.safetensors", "expected null"},
      {"per_layer_config", {{"0", {{"hidden_size", 8}}}}, "expected null"},
      {"pruned_heads", {{"0", {1}}}, "expected none"},
      {"attn_logit_softcapping", 50.0, "expected null"},
      {"final_logit_softcapping", 30.0, "expected null"},
      {"partial_rotary_factor", 0.5, "expected 1"},
      {"hidden_act", "quick_gelu", "'hidden_act'"},
      {"num_local_experts", 8, "expected 0"},
      {"residual_multiplier", 0.22, "expected 1"},
      {"rope_scaling", {{"rope_type", "longrope"}, {"factor", 2.0}}, "longrope"},
      {"rope_scaling", {{"type", "su"}, {"factor", 2.0}}, "su"},
      {"rope_scaling", {{"rope_type", "default"}, {"partial_rotary_factor", 0.25}}, "expected 1"},
      {"rope_parameters", {{"full_attention", {{"rope_theta", 1e4}}}}, "one set"},
      {"layer_types", std::vector<std::string>(30, "chunked_attention"), "chunked_attention"},
      {"layer_types", std::vector<std::string>(30, "linear_attention"), "full_attention or"},
  };
  for (const auto& [key, value, expected] : cases) {
    Json config = with(base, key, value);
    if (std::string_view(key) == "rope_parameters") config.erase("rope_scaling");
    const std::string error = refusal_of(config);
    CAPTURE(error);
    CHECK(error.starts_with("incompatible: 'config.json'"));
    CHECK(error.find(expected) != std::string::npos);
  }
  const Json gpt2 = model_config("GPT-2");
  const std::string error = refusal_of(with(gpt2, "add_cross_attention", true));
  CAPTURE(error);
  CHECK(error.starts_with("incompatible: "));
  CHECK(error.find("add_cross_attention") != std::string::npos);
}

TEST_CASE("a family lists only what is not known of all") {
  for (const internal::Family& family : internal::families()) {
    CAPTURE(std::string(family.layout.model_type));
    for (const std::string_view key : family.keys) {
      CAPTURE(std::string(key));
      CHECK(!internal::is_outside_layers(key));
      CHECK(std::count(family.keys.begin(), family.keys.end(), key) == 1);
    }
  }
}

TEST_CASE("a key that nobody knows to be harmless is named") {
  for (const char* name : {"SmolLM2-135M", "Mistral-7B-v0.1", "Qwen2.5-0.5B", "Qwen3-0.6B", "GPT-2",
                           "GPT-OSS-20B", "BERT-base", "T5-base", "Llama-3.1-8B"}) {
    CAPTURE(name);
    const Json base = model_config(name);
    CHECK(architecture_of(base).unknown_keys().empty());
    for (const char* key : {"use_qk_norm", "query_pre_attn_scalar", "dual_chunk_attention_config",
                            "no_rope_layers", "attention_chunk_size", "scale_depth"}) {
      CHECK(architecture_of(with(base, key, 1)).unknown_keys() == std::vector<std::string>{key});
      CHECK(architecture_of(with(base, key, nullptr)).unknown_keys().empty());
    }
    for (const char* key : {"eos_token_id", "use_cache", "torch_dtype", "top_k", "id2label"}) {
      CHECK(architecture_of(with(base, key, 1)).unknown_keys().empty());
    }
  }
  // One family's word is another's mystery.
  const Json llama = model_config("Llama-3.1-8B");
  CHECK(architecture_of(with(llama, "sliding_window", 128)).unknown_keys() ==
        std::vector<std::string>{"sliding_window"});
  Json rope = llama;
  rope["rope_scaling"]["mrope_section"] = {16, 24, 24};
  CHECK(architecture_of(rope).unknown_keys() ==
        std::vector<std::string>{"rope_scaling.mrope_section"});
  CHECK(architecture_of(with(model_config("GPT-2"), "rope_theta", 1e4)).unknown_keys() ==
        std::vector<std::string>{"rope_theta"});
  // A bidirectional encoder is not causal anyway.
  CHECK(signature_of(with(model_config("BERT-base"), "is_causal", false)) ==
        signature_of(model_config("BERT-base")));
  CHECK(error_of([&] {
          (void)signature_of(with(model_config("BERT-base"), "is_causal", true));
        }).find("expected false") != std::string::npos);
}

TEST_CASE("values out of range or against each other are corrupt") {
  const Json base = model_config("SmolLM2-135M");
  const std::tuple<const char*, Json, const char*> cases[] = {
      {"hidden_size", 0, "at least 1"},
      {"hidden_size", -576, "unsigned integer"},
      {"hidden_size", 2147483648, "at most 1048576"},
      {"hidden_size", 576.0, "unsigned integer"},
      {"hidden_size", "576", "unsigned integer"},
      {"hidden_size", nullptr, "unsigned integer"},
      {"hidden_size", 577, "does not divide into 9 heads"},
      {"intermediate_size", std::uint64_t{1} << 40, "at most"},
      {"num_hidden_layers", 1000000, "at most 100000"},
      {"num_hidden_layers", 0, "at least 1"},
      {"num_attention_heads", 0, "at least 1"},
      {"num_key_value_heads", 4, "do not divide into 4"},
      {"num_key_value_heads", 0, "at least 1"},
      {"vocab_size", 1000000000, "at most 67108864"},
      {"head_dim", 63, "odd"},
      {"head_dim", 1 << 21, "at most 1048576"},
      {"rms_norm_eps", 0, "above 0"},
      {"rms_norm_eps", -1e-5, "above 0"},
      {"rms_norm_eps", 2.0, "less than 1"},
      {"rms_norm_eps", "1e-5", "expected a number"},
      {"rope_theta", 0, "above 0"},
      {"rope_theta", -1e4, "above 0"},
      {"rope_theta", std::nan(""), "finite"},
      {"rope_theta", HUGE_VAL, "finite"},
      {"rope_scaling", {{"rope_type", "linear"}, {"factor", 0}}, "above 0"},
      {"rope_scaling", {{"rope_type", "linear"}}, "'factor'"},
      {"rope_scaling", {{"rope_type", "linear"}, {"type", "yarn"}, {"factor", 2}}, "contradicts"},
      {"rope_scaling", "linear", "object"},
      {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 5e5}}, "contradicts"},
      {"layer_types", std::vector<std::string>(29, "full_attention"), "29 entries"},
      {"layer_types", std::vector<std::string>(30, "sliding_attention"), "no window"},
      {"tie_word_embeddings", "yes", "true or false"},
      {"model_type", 3, "expected a string"},
  };
  for (const auto& [key, value, expected] : cases) {
    const std::string wrong = std::string(key) + ": " + value.dump();
    CAPTURE(wrong);
    const std::string error = refusal_of(with(base, key, value));
    CAPTURE(error);
    CHECK(error.starts_with("corrupt: "));
    CHECK(error.find(expected) != std::string::npos);
  }
  for (const char* key : {"hidden_size", "intermediate_size", "num_hidden_layers",
                          "num_attention_heads", "vocab_size", "model_type"}) {
    Json config = base;
    config.erase(key);
    CHECK(refusal_of(config).find("is missing") != std::string::npos);
  }
  CHECK(refusal_of(with(with(base, "head_dim", 1 << 20), "num_attention_heads", 18))
            .find("wider than 16777216") != std::string::npos);
  const Json llama3 = model_config("Llama-3.1-8B");
  CHECK(refusal_of(
            with(llama3, "rope_scaling", with(llama3["rope_scaling"], "high_freq_factor", 1.0)))
            .find("expected more than low_freq_factor") != std::string::npos);
  CHECK(refusal_of(with(llama3, "rope_parameters", Json{{"rope_type", "default"}}))
            .find("contradicts 'rope_parameters'") != std::string::npos);
}

TEST_CASE("a function that T5 names by itself is refused by its own key") {
  const Json named = with(model_config("T5-base"), "dense_act_fn", "tanh");
  Json alone = named;
  alone.erase("feed_forward_proj");
  for (const Json& config : {named, alone}) {
    const std::string said = error_of([&] { architecture_of(config); });
    CHECK_MESSAGE(said.starts_with("incompatible: "), said);
    CHECK_MESSAGE(said.find("dense_act_fn") != said.npos, said);
    CHECK_MESSAGE(said.find("tanh") != said.npos, said);
  }
}

}  // namespace
}  // namespace organ::format
