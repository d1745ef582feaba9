// SPDX-License-Identifier: Apache-2.0
#include "train/adapter/adapter.h"

#include <algorithm>
#include <cmath>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "format/base/file.h"
#include "format/base/json.h"
#include "format/checkpoint/checkpoint.h"
#include "format/tensor/stored_values.h"
#include "tests/support/data.h"
#include "tests/support/support.h"
#include "train/adapter/prompt_start.h"

namespace organ::train {
namespace {

using test::error_of;

std::filesystem::path data(const std::string& name) { return test::test_data() / name; }

const format::Architecture& llama() {
  static const auto checkpoint = format::Checkpoint::open(data("train/llama"));
  return checkpoint.architecture();
}

Adapter make(AdapterOptions options, format::LayerRange layers = {0, 3}) {
  options.layers = layers;
  Adapter adapter = plan_adapter(make_peft_config(options, llama()), llama());
  initialise(adapter, 7);
  return adapter;
}

// A copy of a fixture's folder with one change.
struct Copy {
  explicit Copy(const std::string& name) {
    for (const char* file : {"adapter_config.json", "adapter_model.safetensors"}) {
      std::filesystem::copy(data("adapters/" + name) / file, folder.path() / file);
    }
  }
  void set(const std::string& key, const nlohmann::json& value) const {
    const auto path = folder.path() / "adapter_config.json";
    auto config = parse_json(read_file(path, 1 << 20), {.reals = true}, "config");
    config[key] = value;
    write_file(path, config.dump());
  }
  std::string error() const {
    return error_of([&] { read_adapter(folder.path(), llama()); });
  }
  TempFolder folder = test::scratch();
};

}  // namespace

TEST_CASE("a new LoRA adapts the family's default targets and starts as PEFT does") {
  const Adapter adapter = make({});
  REQUIRE(adapter.projections.size() == 6);
  CHECK(adapter.projections[0].name == "self_attn.q_proj");
  CHECK(adapter.projections[1].name == "self_attn.v_proj");
  CHECK(adapter.projections[0].scale == 2);
  CHECK(adapter.elements() == 3 * (8 * (32 + 32) + 8 * (32 + 16)));
  CHECK(adapter.stored_name(adapter.slots[1], llama()) ==
        "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight");
  const float bound = 1 / std::sqrt(32.0f);
  double sum = 0;
  for (const auto& slot : adapter.slots) {
    const auto values = std::span(adapter.values)
                            .subspan(static_cast<std::size_t>(slot.offset),
                                     static_cast<std::size_t>(slot.elements));
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    if (slot.role == AdapterRole::lora_b) {
      CHECK(*low == 0);
      CHECK(*high == 0);
    } else {
      CHECK(*low >= -bound);
      CHECK(*high <= bound);
      for (const float value : values) sum += static_cast<double>(value * value);
    }
  }
  CHECK(sum / (6 * 8 * 32) == doctest::Approx(1.0 / (3 * 32)).epsilon(0.1));
}

TEST_CASE("some layers only") {
  CHECK(make({.targets = {"gate_proj"}}, {1, 2}).projections.size() == 2);
  const Adapter ia3 = make({.kind = AdapterKind::ia3}, {2, 1});
  REQUIRE(ia3.projections.size() == 3);
  for (const auto& p : ia3.projections) {
    CHECK(p.layer == 2);
    CHECK(p.feed_forward == (p.name == "mlp.down_proj"));
  }
  CHECK(ia3.values == std::vector<float>(40 + 16 + 16, 1.0f));
}

TEST_CASE("bottlenecks stand behind attention and MLP, or behind the MLP") {
  CHECK(make({.kind = AdapterKind::bottleneck, .bottleneck_size = 4}).elements() ==
        3 * 2 * (2 * 4 * 32 + 4 + 32));
  CHECK(make({.kind = AdapterKind::bottleneck,
              .bottleneck_size = 4,
              .placement = BottleneckPlacement::pfeiffer})
            .projections.size() == 3);
}

TEST_CASE("virtual tokens have the sizes of the model and start as PEFT's do") {
  const Adapter prompt =
      make({.kind = AdapterKind::prompt, .virtual_tokens = 500, .start = VirtualStart::random});
  REQUIRE(prompt.slots.size() == 1);
  CHECK(prompt.slots[0].shape == std::vector<std::int64_t>{500, 32});
  CHECK(prompt.stored_name(prompt.slots[0], llama()) == "prompt_embeddings");
  double sum = 0;
  for (const float value : prompt.values) sum += static_cast<double>(value * value);
  CHECK(sum / 16000 == doctest::Approx(1).epsilon(0.05));
  const Adapter prefix = make({.kind = AdapterKind::prefix, .virtual_tokens = 4});
  CHECK(prefix.slots[0].shape == std::vector<std::int64_t>{4, std::int64_t{3} * 2 * 16});
  const Adapter zero =
      make({.kind = AdapterKind::prefix, .virtual_tokens = 1, .start = VirtualStart::zero});
  CHECK(zero.values == std::vector<float>(96, 0.0f));
}

TEST_CASE("a prompt starts as rows of the embedding, over again where they are few") {
  const auto checkpoint = format::Checkpoint::open(data("train/llama"));
  const auto table = checkpoint.locate("model.embed_tokens.weight");
  const auto rows = format::floats_of(*table.tensor, checkpoint.read(table));
  Adapter prompt = make({.kind = AdapterKind::prompt, .virtual_tokens = 3});
  const std::vector<std::int32_t> ids = {7, 2};
  start_from_ids(prompt, checkpoint, ids);
  for (std::size_t i = 0; i < std::size_t{3} * 32; ++i) {
    CHECK(prompt.values[i] == rows[static_cast<std::size_t>(ids[i / 32 % 2]) * 32 + i % 32]);
  }
  start_from_vocabulary(prompt, checkpoint, 3);
  const auto drawn = prompt.values;
  start_from_vocabulary(prompt, checkpoint, 4);
  CHECK(prompt.values != drawn);
  start_from_vocabulary(prompt, checkpoint, 3);
  CHECK(prompt.values == drawn);
  CHECK(error_of([&] { start_from_ids(prompt, checkpoint, {}); }).starts_with("invalid_argument"));
  const std::vector<std::int32_t> outside = {1 << 30};
  CHECK(error_of([&] {
          start_from_ids(prompt, checkpoint, outside);
        }).starts_with("invalid_argument: --init-text: token id"));
}

TEST_CASE("virtual tokens of another model are refused") {
  const auto error = [](const char* name, const char* key, std::uint64_t value) {
    const Copy copy(name);
    copy.set(key, value);
    return copy.error();
  };
  CHECK(error("prompt", "token_dim", 64) ==
        "incompatible: adapter_config.json: 'token_dim' is 64, the model has 32");
  CHECK(error("prefix", "num_attention_heads", 4).find("'num_attention_heads' is 4") !=
        std::string::npos);
  CHECK(error("prefix", "num_layers", 2).find("'num_layers' is 2") != std::string::npos);
  CHECK(error("prefix", "num_transformer_submodules", 2).find("is '2', which is not supported") !=
        std::string::npos);
  CHECK(error("prompt", "num_virtual_tokens", 4).find("the model needs [4, 32]") !=
        std::string::npos);
  CHECK(error("prompt", "num_virtual_tokens", 0).starts_with("corrupt"));
  const auto bert = format::Checkpoint::open(data("train/bert"));
  AdapterOptions options{.kind = AdapterKind::prompt};
  options.layers = {0, bert.architecture().layer_count()};
  CHECK(error_of([&] {
          plan_adapter(make_peft_config(options, bert.architecture()), bert.architecture());
        }).starts_with("incompatible: model type 'bert': a prompt stands before"));
}

TEST_CASE("what cannot be adapted is refused") {
  CHECK(error_of([] {
          make({.targets = {"lm_head"}});
        }).starts_with("incompatible: adapter_config.json: module 'lm_head' is named"));
  CHECK(error_of([] { make({.targets = {"input_layernorm"}}); }).find("is named") !=
        std::string::npos);
  CHECK(error_of([] { make({.targets = {"c_attn"}}); }) ==
        "incompatible: adapter_config.json: names no projection of this model");
  CHECK(error_of([] { make({.rank = 0}); }).starts_with("invalid_argument: --rank"));
  CHECK(error_of([] { make({.alpha = NAN}); }).starts_with("invalid_argument: --alpha"));
}

TEST_CASE("a folder that does not fit is refused before anything is allocated") {
  CHECK(Copy("lora").error() == "no error");
  const Copy rank("lora");
  rank.set("r", 60000);
  CHECK(rank.error().find("has shape [4, 32], the model needs [60000, 32]") != std::string::npos);
  const Copy more("lora");
  more.set("target_modules", {"q_proj", "v_proj", "k_proj"});
  CHECK(more.error().starts_with("corrupt"));
  CHECK(more.error().find("lacks tensor") != std::string::npos);
  const Copy less("lora");
  less.set("target_modules", {"q_proj"});
  CHECK(less.error().find("is nothing that adapter_config.json asks for") != std::string::npos);
  const Copy gone("lora");
  std::filesystem::remove(gone.folder.path() / "adapter_model.safetensors");
  CHECK(gone.error().starts_with("not_found"));
}

TEST_CASE("the same seed gives the same numbers, another seed others") {
  Adapter adapter = make({});
  const auto first = adapter.values;
  initialise(adapter, 7);
  CHECK(adapter.values == first);
  initialise(adapter, 8);
  CHECK(adapter.values != first);
}

}  // namespace organ::train
