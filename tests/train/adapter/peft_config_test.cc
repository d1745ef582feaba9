// SPDX-License-Identifier: Apache-2.0
#include "train/adapter/peft_config.h"

#include <cmath>

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tests/support/support.h"

namespace organ::train {
namespace {

using nlohmann::json;
using test::error_of;

json lora() {
  return {{"peft_type", "LORA"}, {"r", 8}, {"lora_alpha", 16}, {"target_modules", {"q_proj"}}};
}

std::string error_with(const std::string& key, const json& value) {
  json config = lora();
  config[key] = value;
  return error_of([&] { parse_peft_config(config.dump(), "adapter_config.json"); });
}

}  // namespace

TEST_CASE("rank and scale of a module follow the patterns") {
  json config = lora();
  config["rank_pattern"] = {{"k_proj", 2}};
  config["alpha_pattern"] = {{"layers.0.self_attn.k_proj", 3}};
  PeftConfig read = parse_peft_config(config.dump(), "c");
  CHECK(read.rank_of("model.layers.0.self_attn.k_proj") == 2);
  CHECK(read.rank_of("model.layers.0.self_attn.q_proj") == 8);
  CHECK(read.scale_of("model.layers.0.self_attn.k_proj") == 1.5);
  CHECK(read.scale_of("model.layers.1.self_attn.k_proj") == 8);
  config["use_rslora"] = true;
  read = parse_peft_config(config.dump(), "c");
  CHECK(read.scale_of("model.layers.1.mlp.up_proj") == doctest::Approx(16 / std::sqrt(8.0)));
  // The first one counts, in the order of the document.
  for (const auto& [patterns, rank] : {std::pair(R"({"self_attn.k_proj":3,"k_proj":2})", 3u),
                                       std::pair(R"({"k_proj":2,"self_attn.k_proj":3})", 2u)}) {
    const std::string text = fmt::format(
        R"({{"peft_type":"LORA","target_modules":["k_proj"],"rank_pattern":{}}})", patterns);
    read = parse_peft_config(text, "c");
    CHECK(read.rank_of("model.layers.0.self_attn.k_proj") == rank);
    CHECK(read.rank_of("model.layers.0.mlp.up_proj") == 8);   // PEFT's default
    CHECK(read.scale_of("model.layers.0.mlp.up_proj") == 1);  // of both
  }
}

TEST_CASE("layers_pattern says which number of a name is that of its layer") {
  json config = lora();
  config["layers_to_transform"] = {0, 2};
  const auto wants = [&](const json& pattern, std::uint64_t layer, std::string_view module) {
    config["layers_pattern"] = pattern;
    return parse_peft_config(config.dump(), "c").wants_layer(layer, module);
  };
  for (const json& pattern :
       {json(), json("layers"), json({"h", "layers"}), json(""), json("la[y]ers"), json::array()}) {
    CAPTURE(pattern.dump());
    CHECK(wants(pattern, 2, "model.layers.2.self_attn.q_proj"));
    CHECK_FALSE(wants(pattern, 1, "model.layers.1.self_attn.q_proj"));
  }
  CHECK_FALSE(wants("h", 2, "model.layers.2.self_attn.q_proj"));  // no number, no module
  CHECK(wants("h", 2, "transformer.h.2.attn.c_attn"));
  CHECK(wants("layer", 1, "encoder.block.1.layer.0.SelfAttention.q"));  // T5's inner number
  CHECK_FALSE(wants("layer", 2, "encoder.block.2.layer.1.SelfAttention.q"));
  config["layers_to_transform"] = 1;
  CHECK(wants("layers", 1, "model.layers.1.mlp.up_proj"));
  CHECK(error_with("layers_pattern", "a|b").starts_with("incompatible: "));
  CHECK(error_with("layers_pattern", 3).starts_with("corrupt: "));
}

TEST_CASE("keys that change the function and are not supported are refused by name") {
  for (const char* key : {"use_dora", "use_qalora", "lora_bias", "a_key_of_tomorrow"}) {
    CHECK(error_with(key, true) == std::string("incompatible: adapter_config.json: '") + key +
                                       "' is 'true', which is not supported");
    CHECK(error_with(key, false) == "no error");
    CHECK(error_with(key, nullptr) == "no error");
  }
  CHECK(error_with("bias", "some").starts_with("incompatible: adapter_config.json: 'bias'"));
  CHECK(error_with("bias", "all") == "no error");  // the file says whether there are any
  CHECK(error_with("bias", "none") == "no error");
  CHECK(error_with("modules_to_save", {"lm_head"}).find("'modules_to_save'") != std::string::npos);
  CHECK(error_with("modules_to_save", json::array()) == "no error");
  CHECK(error_with("layer_replication", {{0, 2}}).find("'layer_replication'") != std::string::npos);
  CHECK(error_with("init_lora_weights", "pissa").find("'init_lora_weights'") != std::string::npos);
  CHECK(error_with("init_lora_weights", "gaussian") == "no error");
  CHECK(error_with("task_type", "SEQ_2_SEQ_LM") == "no error");
  CHECK(error_with("task_type", "SEQ_CLS").find("'task_type'") != std::string::npos);
  CHECK(error_with("peft_type", "LOHA").starts_with("incompatible: adapter_config.json: adapters"));
}

TEST_CASE("values of a wrong type or range are corrupt") {
  CHECK(error_with("r", 0).starts_with("corrupt: adapter_config.json"));
  CHECK(error_with("r", 70000).starts_with("corrupt: adapter_config.json"));
  CHECK(error_with("r", "8").starts_with("corrupt: adapter_config.json"));
  CHECK(error_with("lora_alpha", "16").starts_with("corrupt: adapter_config.json"));
  CHECK(error_with("rank_pattern", {{"q", 0}}).starts_with("corrupt: adapter_config.json"));
  CHECK(error_with("layers_to_transform", "all").starts_with("corrupt: adapter_config.json"));
}

}  // namespace organ::train
