// SPDX-License-Identifier: Apache-2.0
// Layers of families whose maths organ does not know.
#include "format/architecture/architecture.h"

#include <cmath>

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

using test::error_of;
using test::Tensors;
using test::with;

bool holds(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// Two layers of a made-up family.
Architecture opaque(const Json& config, DType dtype = DType::BF16) {
  const std::vector<TensorInfo> tensors = {{"h.1.mixer.A", DType::F32, {4}, 0, 16},
                                           {"embed.weight", dtype, {8, 4}, 0, 64},
                                           {"h.0.attn.w", dtype, {4, 4}, 0, 32},
                                           {"h.1.attn.w", dtype, {4, 4}, 0, 32}};
  std::vector<const TensorInfo*> all;
  all.reserve(tensors.size());
  for (const TensorInfo& tensor : tensors) all.push_back(&tensor);
  return ArchitectureReader::from_tensors(config, "config.json", all, "",
                                          Error(ErrorCode::incompatible, "not known"));
}

TEST_CASE("opaque layers sign everything that can be seen but names and paths") {
  const Json config = {{"model_type", "made_up"},
                       {"_name_or_path", "/home/someone/model"},
                       {"architectures", {"MadeUpForCausalLM"}},
                       {"transformers_version", "5.1.0"},
                       {"eps", 1e-5},
                       {"pad", nullptr},
                       {"eos", -1},
                       {"text_config", {{"_name_or_path", "x"}, {"scales", {0.5, 1, "a"}}}}};
  CHECK(opaque(config).layer_fields(0, 2).text() ==
        R"({"config":{"eos":-1,"eps":"0x1.4f8b588e368f1p-17","model_type":"made_up","pad":null,)"
        R"("text_config":{"scales":["0x1p-1",1,"a"]}},"first_layer":0,"maths":"unknown",)"
        R"("model_layer_count":2,"model_type":"made_up","stack":"h",)"
        R"("tensors":[{"attn.w":{"dtype":"BF16","shape":[4,4]}},)"
        R"({"attn.w":{"dtype":"BF16","shape":[4,4]},"mixer.A":{"dtype":"F32","shape":[4]}}]})");
  const auto signature_of = [](const Architecture& model) {
    return Architecture::signature(model.layer_fields(0, 1));
  };
  const Digest base = signature_of(opaque(config));
  CHECK(signature_of(opaque(with(config, "_name_or_path", "elsewhere"))) == base);
  CHECK(signature_of(opaque(with(config, "transformers_version", "4.57.0"))) == base);
  CHECK(signature_of(opaque(with(config, "eps", 1e-6))) != base);
  CHECK(signature_of(opaque(with(config, "router_topk", 8))) != base);
  // What no layer sees, at any depth; a router's temperature is not a generation's.
  for (const char* key : {"vocab_size", "eos_token_id", "use_cache", "torch_dtype", "id2label",
                          "attention_dropout", "initializer_range", "tie_word_embeddings"}) {
    CAPTURE(key);
    CHECK(signature_of(opaque(with(config, key, 8))) == base);
    CHECK(signature_of(opaque(with(config, "text_config", {{key, 8}}))) ==
          signature_of(opaque(with(config, "text_config", Json::object()))));
  }
  CHECK(signature_of(opaque(with(config, "temperature", 2))) != base);
  CHECK(signature_of(opaque(with(config, "text_config", {{"model_type", "a"}}))) !=
        signature_of(opaque(with(config, "text_config", {{"model_type", "b"}}))));
  CHECK(signature_of(opaque(config, DType::F16)) != base);
  CHECK(Architecture::signature(opaque(config).layer_fields(1, 1)) != base);
}

TEST_CASE("numbers that are not finite are signed as transformers 5 writes them") {
  const auto of = [](std::string_view text) {
    JsonLimits limits;
    limits.foreign = true;
    return Architecture::signature(opaque(parse_json(text, limits, "c")).layer_fields(0, 1));
  };
  const auto bare = of(R"({"model_type":"made_up","limit":[0.0, Infinity]})");
  CHECK(bare == of(R"({"model_type":"made_up","limit":[0.0,{"__float__":"Infinity"}]})"));
  CHECK(bare != of(R"({"model_type":"made_up","limit":[0.0,-Infinity]})"));
  CHECK(bare != of(R"({"model_type":"made_up","limit":[0.0,"Infinity"]})"));
}

TEST_CASE("an organ that signed more of its config compares as one of today") {
  Json config = {{"model_type", "made_up"}, {"eps", 1e-5}};
  const JsonText today = opaque(config).layer_fields(0, 1);
  Json before = json_of(today);
  before["config"]["eos_token_id"] = 7;
  before["config"]["text_config"] = {{"vocab_size", 9}};
  Json expected = json_of(today);
  expected["config"]["text_config"] = Json::object();
  CHECK(Architecture::comparable_fields(json_text(before)) == json_text(expected));
  CHECK(Architecture::comparable_fields(today) == today);
  const JsonText known = test::architecture_of(test::model_config("GPT-2")).layer_fields(0, 1);
  CHECK(Architecture::comparable_fields(known) == known);
}

TEST_CASE("a config too deep or too large to be signed is refused, and so is an odd name") {
  Json deep = 1;
  for (int i = 0; i < 20; ++i) deep = Json{{"a", deep}};
  const Json base = {{"model_type", "made_up"}};
  const auto refused = [&](const char* key, const Json& value) {
    return error_of([&] { opaque(with(base, key, value)); });
  };
  CHECK(refused("x", deep).find("nested deeper than 16") != std::string::npos);
  CHECK(refused("x", std::string(2 << 20, 'x')).find("the limit is 1048576") != std::string::npos);
  for (const char* name : {"", "a b", "../x", "a\nb"}) {
    CHECK(refused("model_type", name).starts_with("incompatible: "));
  }
  CHECK(refused("model_type", 3).starts_with("corrupt: "));
}

TEST_CASE("layers of an unknown family are opaque: seen, not understood") {
  const auto scratch = test::scratch();
  Json config = test::tiny_llama_config();
  config["model_type"] = "gemma2";
  Tensors tensors = test::tiny_llama();
  tensors["model.layers.1.odd.weight"] = {DType::I32, {3}};
  tensors["model.layers.0.mlp.experts.0.w1"] = {DType::F8_E4M3, {4, 4}};
  test::put_model(scratch.path(), tensors, config);
  const auto model = Checkpoint::open(scratch.path());
  const Architecture& layers = model.architecture();
  CHECK(layers.is_opaque());
  CHECK(layers.layer_count() == 2);
  CHECK(layers.stack() == "model.layers");
  CHECK(model.layer_prefix(1) == "model.layers.1.");
  CHECK(model.layer(0).size() == 10);
  CHECK(model.layer(0).contains("mlp.experts.0.w1"));
  CHECK(model.layer(1).contains("odd.weight"));
  CHECK(model.layer_digest(0) != model.layer_digest(1));
  for (const auto& needs_maths :
       {+[](const Architecture& a) { a.spec(); }, +[](const Architecture& a) { a.vocab_size(); },
        +[](const Architecture& a) { a.attention_type(0); }}) {
    const std::string error = error_of([&] { needs_maths(layers); });
    CHECK(error.starts_with("incompatible: "));
    CHECK(holds(error, "\"gemma2\""));
  }
}

TEST_CASE("a known family with a config value that is not implemented is opaque too") {
  const auto scratch = test::scratch();
  Json config = test::tiny_llama_config();
  config["quantization_config"] = {{"quant_method", "gptq"}, {"bits", 4}};
  Tensors tensors = test::tiny_llama();
  tensors["model.layers.0.self_attn.q_proj.qweight"] = {DType::I32, {1, 8}};
  test::put_model(scratch.path(), tensors, config);
  const auto model = Checkpoint::open(scratch.path());
  CHECK(model.architecture().is_opaque());
  CHECK(holds(error_of([&] { model.architecture().spec(); }), "quantization_config"));
  CHECK(Checkpoint::open(scratch.path(), "model.layers").architecture().is_opaque());
  test::put_model(scratch.path(), test::tiny_llama(), test::tiny_llama_config());
  CHECK(!Checkpoint::open(scratch.path(), "model.layers").architecture().is_opaque());
  config["hidden_size"] = -1;  // damage is damage, not another family
  config.erase("quantization_config");
  test::put_model(scratch.path(), test::tiny_llama(), config);
  CHECK(error_of([&] { Checkpoint::open(scratch.path()); }).starts_with("corrupt: "));
}

TEST_CASE("a folder with several lists of layers needs a choice, one with none has no layers") {
  const auto scratch = test::scratch();
  Json config = test::tiny_llama_config();
  config["model_type"] = "seeing";
  Tensors tensors;
  for (const char* name : {"vision.blocks.0.w", "vision.blocks.1.w", "text.layers.0.w",
                           "text.layers.1.w", "text.layers.2.w", "text.layers.norm"}) {
    tensors[name] = {DType::F32, {2}};
  }
  test::put_model(scratch.path(), tensors, config);
  const auto undecided = Checkpoint::open(scratch.path());
  try {
    undecided.architecture();
    FAIL("the stack is not decided");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::incompatible);
    CHECK(holds(error.message(), "holds 2 stacks of layers"));
    CHECK(holds(error.hint(), "text.layers (3 layers), vision.blocks (2 layers)"));
  }
  const auto chosen = Checkpoint::open(scratch.path(), "text.layers");
  CHECK(chosen.architecture().layer_count() == 3);
  CHECK(chosen.layer(2).size() == 1);
  CHECK(holds(error_of([&] { Checkpoint::open(scratch.path(), "x").architecture(); }),
              "has no stack of layers 'x'"));

  const auto without_layers = [&](std::initializer_list<const char*> names) {
    Tensors few;
    for (const char* name : names) few[name] = {DType::F32, {2}};
    test::put_model(scratch.path(), few, config);
    return error_of([&] { Checkpoint::open(scratch.path()).architecture(); });
  };
  CHECK(holds(without_layers({"embed.weight", "head.weight"}), "form a list of layers"));
  CHECK(holds(without_layers({"h.0.w", "h.2.w"}), "'h' has no number 1 before 2"));
  CHECK(holds(without_layers({"h.1.w", "h.2.w"}), "'h' has no number 0 before 1"));
  CHECK(holds(without_layers({"h.0", "h.1"}), "'h' numbers tensors, not layers"));
  CHECK(holds(without_layers({"h.00.w", "h.+1.w", "0.w"}), "form a list of layers"));
  CHECK(holds(without_layers({"h.18446744073709551615.w"}), "has no number 0"));
  CHECK(holds(without_layers({"h.18446744073709551616.w"}), "form a list of layers"));
}

}  // namespace
}  // namespace organ::format
