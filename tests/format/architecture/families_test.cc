// SPDX-License-Identifier: Apache-2.0
// GPT-2, GPT-OSS, BERT and T5: what each has that the others have not.
#include "format/architecture/architecture.h"

#include <set>

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "format/architecture/architecture_reader.h"
#include "format/base/json.h"
#include "format/checkpoint/checkpoint.h"
#include "tests/support/architectures.h"
#include "tests/support/model_configs.h"
#include "tests/support/support.h"
#include "tests/support/tensor_files.h"

namespace organ::format {
namespace {

using test::architecture_of;
using test::error_of;
using test::layer_parameters;
using test::model_config;
using test::refusal_of;
using test::signature_of;
using test::Tensors;
using test::with;

bool holds(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

const LayerTensor* find(const Architecture& model, std::string_view name) {
  for (const LayerTensor& tensor : model.tensors()) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

TEST_CASE("GPT-OSS: experts, sinks, windows in turn and both forms of storage") {
  Json config = model_config("GPT-OSS-20B");
  const auto plain = architecture_of(config);
  CHECK(plain.attention_type(0) == "sliding");
  CHECK(plain.attention_type(1) == "full");
  const Json fields = json_of(plain.layer_fields(2, 2));
  CHECK(fields["experts"] == 32);
  CHECK(fields["experts_per_token"] == 4);
  CHECK(fields["swiglu_limit"] == "0x1.cp+2");
  CHECK(fields["attention_sinks"] == true);
  CHECK(fields["attention_bias"] == "qkvo");
  CHECK(fields["rope_scaling"]["truncate"] == false);
  CHECK(signature_of(config, 0, 3) != signature_of(config, 1, 3));
  CHECK(signature_of(config, 0, 3) == signature_of(config, 2, 3));
  REQUIRE(find(plain, "mlp.experts.gate_up_proj") != nullptr);
  CHECK(find(plain, "mlp.experts.gate_up_proj")->shape == Shape{32, 2880, 5760});
  CHECK(find(plain, "mlp.experts.down_proj_blocks") == nullptr);

  config["quantization_config"] = {
      {"quant_method", "mxfp4"},
      {"modules_to_not_convert",
       {"model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"}}};
  const auto packed = architecture_of(config);
  REQUIRE(find(packed, "mlp.experts.gate_up_proj_blocks") != nullptr);
  CHECK(find(packed, "mlp.experts.gate_up_proj_blocks")->shape == Shape{32, 5760, 90, 16});
  CHECK(find(packed, "mlp.experts.gate_up_proj_blocks")->dtype == DType::U8);
  CHECK(find(packed, "mlp.experts.down_proj_scales")->shape == Shape{32, 2880, 90});
  CHECK(find(packed, "mlp.experts.gate_up_proj") == nullptr);
  CHECK(signature_of(config) != signature_of(model_config("GPT-OSS-20B")));

  // What transformers assumes is what the published config says.
  Json bare = model_config("GPT-OSS-20B");
  for (const char* key : {"rope_scaling", "rope_theta", "layer_types", "sliding_window", "head_dim",
                          "num_key_value_heads", "attention_bias", "swiglu_limit", "rms_norm_eps",
                          "num_experts_per_tok", "experts_per_token", "hidden_act"}) {
    bare.erase(key);
  }
  CHECK(signature_of(bare) == signature_of(model_config("GPT-OSS-20B")));
}

TEST_CASE("GPT-OSS: what is not implemented or contradicts itself is refused") {
  const Json base = model_config("GPT-OSS-20B");
  const std::tuple<const char*, Json, const char*> cases[] = {
      {"quantization_config", {{"quant_method", "awq"}}, "incompatible: "},
      {"quantization_config", {{"quant_method", "mxfp4"}, {"bits", 3}}, "incompatible: "},
      {"quantization_config",
       {{"quant_method", "mxfp4"}, {"modules_to_not_convert", {"model.layers.3.mlp.experts"}}},
       "incompatible: "},
      {"hidden_act", "gelu", "incompatible: "},
      {"num_experts", 2, "corrupt: "},  // num_local_experts by its alias, which wins
      {"experts_per_token", 2, "corrupt: "},
      {"num_experts_per_tok", 33, "corrupt: "},
      {"num_local_experts", 1 << 20, "corrupt: "},
      {"swiglu_limit", -1.0, "corrupt: "},
      {"sliding_window", nullptr, "corrupt: "},
  };
  for (const auto& [key, value, expected] : cases) {
    const std::string wrong = std::string(key) + ": " + value.dump();
    CAPTURE(wrong);
    const std::string error = refusal_of(with(base, key, value));
    CAPTURE(error);
    CHECK(error.starts_with(expected));
    const bool named = error.find("expert") != error.npos || error.find(key) != error.npos;
    CHECK(named);
  }
  Json odd = with(base, "quantization_config", {{"quant_method", "mxfp4"}});
  odd["intermediate_size"] = 2890;
  CHECK(refusal_of(odd).find("blocks of 32") != std::string::npos);
}

TEST_CASE("GPT-2: the factor of the scores is signed where it is not 1 / sqrt(head_dim)") {
  const Json plain = model_config("GPT-2");  // heads of 64: 1/8
  const auto fields = [](const Json& config, std::uint64_t first, std::uint64_t count) {
    return json_of(architecture_of(config).layer_fields(first, count));
  };
  CHECK(!fields(plain, 0, 3).contains("attention_scale"));
  CHECK(architecture_of(plain).attention_scale(11) == 0.125);
  // It says in which type scores are computed, and null is not given.
  for (const auto& [key, value] : {std::pair<const char*, Json>{"reorder_and_upcast_attn", true},
                                   {"scale_attn_weights", nullptr},
                                   {"scale_attn_by_inverse_layer_idx", nullptr},
                                   {"scale_attn_by_inverse_layer_idx", false}}) {
    const Json config = with(plain, key, value);
    CAPTURE(config);
    CHECK(signature_of(config) == signature_of(plain));
    CHECK(architecture_of(config).unknown_keys().empty());
  }
  const Json unscaled = with(plain, "scale_attn_weights", false);
  CHECK(fields(unscaled, 2, 3)["attention_scale"] == "0x1p+0");
  CHECK(!fields(unscaled, 2, 3).contains("attention_scales"));
  const Json narrow = with(plain, "n_head", 768);  // a factor of 1 whatever the config says
  CHECK(signature_of(with(narrow, "scale_attn_weights", false)) == signature_of(narrow));
  const Json llama = model_config("Llama-2-7B");
  for (const auto& [key, value] : {std::pair<const char*, Json>{"scale_attn_weights", false},
                                   {"scale_attn_by_inverse_layer_idx", true}}) {
    CHECK(refusal_of(with(plain, key, "yes")).starts_with("corrupt: "));
    CHECK(refusal_of(with(llama, key, value)).starts_with("incompatible: "));
  }
}

TEST_CASE("GPT-2: scores that the layer's number divides tie layers to their places") {
  const Json plain = model_config("GPT-2");
  const Json by_index = with(plain, "scale_attn_by_inverse_layer_idx", true);
  const auto model = architecture_of(by_index);
  CHECK(!model.is_opaque());
  for (std::uint64_t i = 0; i < 12; ++i) {
    CHECK(model.attention_scale(i) == 0.125 / static_cast<double>(i + 1));
  }
  CHECK(error_of([&] { model.attention_scale(12); }).starts_with("invalid_argument"));
  const Json fields = json_of(model.layer_fields(1, 3));
  CHECK(fields["attention_scales"] == Json{"0x1p-4", real_to_hex(0.125 / 3), "0x1p-5"});
  CHECK(!fields.contains("attention_scale"));
  std::set<std::string> signatures = {signature_of(plain).hex()};
  for (std::uint64_t first = 0; first <= 9; ++first) {
    signatures.insert(signature_of(by_index, first).hex());
  }
  CHECK(signatures.size() == 11);
  // One layer has one factor, and is the layer of any model with the same.
  CHECK(json_of(model.layer_fields(3, 1))["attention_scale"] == "0x1p-5");
  CHECK(signature_of(by_index, 0, 1) == signature_of(plain, 5, 1));
  CHECK(signature_of(by_index, 1, 1) != signature_of(plain, 1, 1));

  const Json index_alone = with(by_index, "scale_attn_weights", false);
  CHECK(json_of(architecture_of(index_alone).layer_fields(0, 2))["attention_scales"] ==
        Json{"0x1p+0", "0x1p-1"});
  CHECK(signature_of(index_alone, 0, 1) ==
        signature_of(with(plain, "scale_attn_weights", false), 0, 1));
  CHECK(signature_of(index_alone, 7, 1) == signature_of(plain, 0, 1));  // 1/8 either way
}

TEST_CASE("BERT: norms after the sums, everything seen, exact gelu") {
  const Json fields = json_of(architecture_of(model_config("BERT-base")).layer_fields(0, 2));
  CHECK(fields["norm_placement"] == "post");
  CHECK(fields["activation"] == "gelu");
  CHECK(fields["attention_types"] == Json{"bidirectional", "bidirectional"});
  CHECK(fields["position"] == "learned");
  CHECK(architecture_of(model_config("BERT-base")).tied_embeddings());
  for (const auto& [key, value] : {std::pair<const char*, Json>{"is_decoder", true},
                                   {"add_cross_attention", true},
                                   {"position_embedding_type", "relative_key"}}) {
    const std::string error = refusal_of(with(model_config("BERT-base"), key, value));
    CHECK(error.starts_with("incompatible: "));
    CHECK(error.find(key) != std::string::npos);
  }
}

TEST_CASE("T5: two stacks, relative positions, plain and gated") {
  const Json config = model_config("T5-base");
  const auto decoder = architecture_of(config);
  const auto encoder = ArchitectureReader::from_config(config, "config.json", "encoder");
  CHECK(decoder.layout().stack == "decoder");
  CHECK(layer_parameters(encoder) == 7'079'424);
  CHECK(encoder.shared_shape() == Shape{32, 12});
  const Json theirs = json_of(decoder.layer_fields(0, 2)),
             ours = json_of(encoder.layer_fields(0, 2));
  CHECK(theirs["cross_attention"] == true);
  CHECK(!ours.contains("cross_attention"));
  CHECK(theirs["attention_types"] == Json{"full", "full"});
  CHECK(ours["attention_types"] == Json{"bidirectional", "bidirectional"});
  CHECK(ours["shared_state"] == "relative_attention_bias.weight");
  CHECK(ours["mlp"] == "plain");
  CHECK(ours["activation"] == "relu");
  CHECK(ours["attention_scale"] == "0x1p+0");
  auto with_table = encoder;
  with_table.set_shared_digest(sha256("table"));
  CHECK(json_of(with_table.layer_fields(0, 2))["shared_digest"] == sha256("table").to_string());

  const auto gated = architecture_of(with(config, "feed_forward_proj", "gated-gelu"));
  CHECK(gated.spec().mlp == "gated");
  CHECK(gated.spec().activation == "gelu_tanh");
  CHECK(find(gated, "layer.2.DenseReluDense.wi_0.weight") != nullptr);
  CHECK(find(gated, "layer.2.DenseReluDense.wi.weight") == nullptr);
  CHECK(architecture_of(with(config, "feed_forward_proj", "gated-silu")).spec().activation ==
        "silu");
  CHECK(architecture_of(with(config, "num_decoder_layers", 5)).layer_count() == 5);
  CHECK(refusal_of(with(config, "feed_forward_proj", "gated-tanh")).starts_with("incompatible: "));
  CHECK(refusal_of(with(config, "relative_attention_num_buckets", 2)).starts_with("corrupt: "));
  CHECK(refusal_of(with(config, "relative_attention_max_distance", 16)).starts_with("corrupt: "));
  CHECK(error_of([&] { ArchitectureReader::from_config(config, "c", "middle"); }) ==
        "incompatible: 'c': a t5 model has no stack 'middle'");
  CHECK(error_of([&] {
          ArchitectureReader::from_config(model_config("GPT-2"), "c", "decoder");
        }).starts_with("incompatible: "));
}

TEST_CASE("BERT files with and without the prefix hold the same layers") {
  const Json config = {{"model_type", "bert"},    {"hidden_size", 8},
                       {"num_hidden_layers", 1},  {"num_attention_heads", 2},
                       {"intermediate_size", 12}, {"vocab_size", 16}};
  const auto model = ArchitectureReader::from_config(config, "config.json");
  const auto scratch = test::scratch();
  for (const std::string prefix : {"", "bert."}) {
    Tensors tensors = {{prefix + "embeddings.word_embeddings.weight", {DType::F32, {16, 8}}},
                       {prefix + "embeddings.position_ids", {DType::I64, {1, 4}}}};
    for (const auto& tensor : model.tensors()) {
      tensors[prefix + "encoder.layer.0." + tensor.name] = {DType::F32, tensor.shape};
    }
    test::put_model(scratch.path(), tensors, config);
    const auto checkpoint = Checkpoint::open(scratch.path());
    CHECK(checkpoint.prefix() == prefix);
    CHECK(checkpoint.layer(0).size() == 16);
    CHECK(checkpoint.tied_head());

    // The names of 2018.
    const auto norm = prefix + "encoder.layer.0.output.LayerNorm.";
    Tensors old = tensors;
    for (const auto& [now, before] : {std::pair("weight", "gamma"), std::pair("bias", "beta")}) {
      old[norm + before] = old[norm + now];
      old.erase(norm + now);
    }
    test::put_model(scratch.path(), old, config);
    const auto as_today = Checkpoint::open(scratch.path());
    CHECK(as_today.layer(0).size() == 16);
    CHECK(as_today.layer(0).at("output.LayerNorm.bias").tensor->name == norm + "beta");
    old[norm + "weight"] = old[norm + "gamma"];
    test::put_model(scratch.path(), old, config);
    CHECK(holds(error_of([&] { Checkpoint::open(scratch.path()); }),
                "LayerNorm.weight' are one by the names of 2018 and of today"));

    tensors["cls.predictions.decoder.bias"] = {DType::F32, {16}};
    test::put_model(scratch.path(), tensors, config);
    CHECK(Checkpoint::open(scratch.path()).find("cls.predictions.bias").has_value());
  }
}

const Json kT5 = {{"model_type", "t5"}, {"d_model", 8},    {"d_kv", 4},
                  {"d_ff", 12},         {"num_layers", 2}, {"num_decoder_layers", 1},
                  {"num_heads", 2},     {"vocab_size", 16}};

Tensors tiny_t5(std::initializer_list<std::string_view> stacks) {
  Tensors tensors = {{"shared.weight", {DType::F32, {16, 8}}}};
  for (const std::string_view stack : stacks) {
    const auto model = ArchitectureReader::from_config(kT5, "config.json", stack);
    const std::string start = std::string(stack) + ".block.";
    tensors[std::string(stack) + ".final_layer_norm.weight"] = {DType::F32, {8}};
    tensors[start + "0.layer.0.SelfAttention.relative_attention_bias.weight"] = {DType::F32,
                                                                                 {32, 2}};
    for (std::uint64_t layer = 0; layer < model.layer_count(); ++layer) {
      for (const LayerTensor& tensor : model.tensors()) {
        tensors[fmt::format("{}{}.{}", start, layer, tensor.name)] = {DType::F32, tensor.shape};
      }
    }
  }
  return tensors;
}

TEST_CASE("T5 shows the stack that was asked for and its shared table") {
  const auto scratch = test::scratch();
  test::put_model(scratch.path(), tiny_t5({"encoder", "decoder"}), kT5);
  const auto decoder = Checkpoint::open(scratch.path());
  const auto encoder = Checkpoint::open(scratch.path(), "encoder");
  CHECK(decoder.architecture().layer_count() == 1);
  CHECK(decoder.layer_prefix(0) == "decoder.block.0.");
  CHECK(encoder.architecture().layer_count() == 2);
  CHECK(encoder.layer(0).size() == 8);
  CHECK(encoder.layer(1).size() == 8);
  CHECK(decoder.layer(0).size() == 13);
  REQUIRE(encoder.shared_state().has_value());
  const auto bytes = encoder.read(*encoder.shared_state());
  CHECK(encoder.architecture().shared_digest() == sha256(bytes));
  CHECK(decoder.architecture().shared_digest() != encoder.architecture().shared_digest());
  const auto none = Checkpoint::open(scratch.path(), "middle");
  CHECK(error_of([&] { none.architecture(); }).starts_with("incompatible: "));

  test::put_model(scratch.path(), tiny_t5({"encoder"}), kT5);
  CHECK(Checkpoint::open(scratch.path()).architecture().layout().stack == "encoder");
  Tensors tensors = tiny_t5({"encoder"});
  tensors.erase("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight");
  test::put_model(scratch.path(), tensors, kT5);
  CHECK(holds(error_of([&] { Checkpoint::open(scratch.path()); }),
              "relative_attention_bias.weight' is missing"));
}

TEST_CASE("T5's embedding goes by any of its names, and by one value") {
  const auto scratch = test::scratch();
  Tensors tensors = tiny_t5({"encoder", "decoder"});
  for (const char* name : {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight"}) {
    Tensors one = tensors;
    one.erase("shared.weight");
    one[name] = tensors.at("shared.weight");
    test::put_model(scratch.path(), one, kT5);
    const auto model = Checkpoint::open(scratch.path());
    CHECK(model.locate("shared.weight").tensor->name == name);
    CHECK(model.tied_head());
    CHECK(model.embedding_places().size() == 1);
  }
  tensors["decoder.embed_tokens.weight"] = tensors.at("shared.weight");  // other bytes
  test::put_model(scratch.path(), tensors, kT5);
  const auto two = Checkpoint::open(scratch.path());
  CHECK(two.layer(0).size() == 13);
  const std::string error = error_of([&] { (void)two.tied_head(); });
  CHECK(error.starts_with("incompatible: "));
  CHECK(holds(error, "'shared.weight' and 'decoder.embed_tokens.weight' differ"));
}

TEST_CASE("aliases of transformers' configuration classes win over the keys") {
  const auto same = [](const Json& a, const Json& b) { return signature_of(a) == signature_of(b); };
  const Json gpt2 = model_config("GPT-2");
  Json renamed = gpt2;
  for (const auto& [alias, key] :
       {std::pair("hidden_size", "n_embd"), std::pair("num_attention_heads", "n_head"),
        std::pair("num_hidden_layers", "n_layer"),
        std::pair("max_position_embeddings", "n_positions")}) {
    renamed[alias] = renamed[key];
    renamed.erase(key);
  }
  CHECK(same(gpt2, renamed));
  CHECK(architecture_of(renamed).max_positions() == 1024);
  CHECK(architecture_of(renamed).unknown_keys().empty());
  CHECK(same(with(gpt2, "num_attention_heads", 6), with(gpt2, "n_head", 6)));
  CHECK(same(with(gpt2, "num_attention_heads", nullptr), gpt2));
  CHECK(architecture_of(with(gpt2, "num_hidden_layers", 3)).layer_count() == 3);

  const Json t5 = model_config("T5-base");
  CHECK(same(with(t5, "head_dim", 32), with(t5, "d_kv", 32)));
  Json counted = t5;  // the decoder's default is taken before the alias
  counted.erase("num_decoder_layers");
  counted["num_layers"] = 4;
  counted["num_hidden_layers"] = 2;
  CHECK(ArchitectureReader::from_config(counted, "c", "encoder").layer_count() == 2);
  CHECK(ArchitectureReader::from_config(counted, "c", "decoder").layer_count() == 4);
  counted.erase("num_layers");
  CHECK(ArchitectureReader::from_config(counted, "c", "decoder").layer_count() == 6);
  // Of feed_forward_proj T5 makes two values, which the document may state itself.
  CHECK(same(with(t5, "dense_act_fn", "relu"), t5));
  CHECK_FALSE(same(with(t5, "dense_act_fn", "gelu"), t5));
  CHECK(same(with(with(t5, "dense_act_fn", "gelu_new"), "is_gated_act", true),
             with(t5, "feed_forward_proj", "gated-gelu")));
  const Json oss = model_config("GPT-OSS-20B");
  CHECK(same(with(oss, "num_experts", 16), with(oss, "num_local_experts", 16)));
}

TEST_CASE("MXFP4 blocks must be bytes") {
  const Json config = {
      {"model_type", "gpt_oss"},  {"hidden_size", 32},
      {"intermediate_size", 32},  {"num_hidden_layers", 1},
      {"num_attention_heads", 8}, {"head_dim", 4},
      {"vocab_size", 16},         {"num_local_experts", 2},
      {"num_experts_per_tok", 1}, {"quantization_config", {{"quant_method", "mxfp4"}}}};
  const auto model = ArchitectureReader::from_config(config, "config.json");
  Tensors tensors;
  for (const LayerTensor& tensor : model.tensors()) {
    tensors["model.layers.0." + tensor.name] = {tensor.dtype.value_or(DType::BF16), tensor.shape};
  }
  const auto scratch = test::scratch();
  test::put_model(scratch.path(), tensors, config);
  CHECK(Checkpoint::open(scratch.path()).layer(0).size() == model.tensors().size());
  tensors["model.layers.0.mlp.experts.down_proj_scales"].first = DType::I8;
  test::put_model(scratch.path(), tensors, config);
  CHECK(holds(error_of([&] { Checkpoint::open(scratch.path()).layer(0); }),
              "down_proj_scales' is I8, expected U8"));
}

}  // namespace
}  // namespace organ::format
