// SPDX-License-Identifier: Apache-2.0
#include "format/checkpoint/checkpoint.h"
#include "format/architecture/architecture_reader.h"

#include <fcntl.h>

#include <fstream>
#include <functional>

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "format/base/file.h"
#include "format/base/json.h"
#include "tests/format/checkpoint/checkpoint_folder.h"
#include "tests/support/data.h"
#include "tests/support/support.h"
#include "tests/support/tensor_files.h"

namespace organ::format {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using test::holds;
using test::kConfig;
using test::put_sharded;
using test::put_single;
using test::refusal;
using test::Tensors;
using test::tiny_llama;

// Bytes that this process has asked files for.
std::uint64_t bytes_read() {
  std::ifstream file("/proc/self/io");
  std::string word;
  std::uint64_t bytes = 0;
  REQUIRE(static_cast<bool>(file >> word >> bytes));
  REQUIRE(word == "rchar:");
  return bytes;
}

TEST_CASE("a location that is not in the checkpoint is refused") {
  const auto scratch = test::scratch();
  const auto folder = scratch.path() / "model";
  fs::create_directories(folder);
  put_single(folder);
  const auto model = Checkpoint::open(folder);
  auto place = model.embedding_places().front();
  place.shard = 77;
  CHECK(holds(error_of([&] { model.read(place); }), "it has 1 shard"));
  CHECK(error_of([&] { model.read({0, nullptr}); }).starts_with("invalid_argument: "));
}

TEST_CASE("stories260K opens, its five layers are complete and its head is tied") {
  const auto folder = test::shared_data("stories260K");
  if (folder.empty()) {
    MESSAGE("skipped: shared data stories260K is missing");
    return;
  }
  const auto model = Checkpoint::open(folder);
  CHECK(model.architecture().layer_count() == 5);
  CHECK(model.tied_head());
  std::vector<Digest> digests;
  for (std::uint64_t i = 0; i < 5; ++i) {
    CHECK(model.layer(i).size() == 9);
    digests.push_back(model.layer_digest(i));
  }
  CHECK(digests[0] != digests[1]);
  CHECK(tokenizer_digest(folder).has_value());
  CHECK(model.own_tokenizer_digest() == tokenizer_digest(folder));
}

TEST_CASE("a checkpoint's tokenizer is the one that it had when it was first asked") {
  const auto folder = test::shared_data("stories260K");
  if (folder.empty()) {
    MESSAGE("skipped: shared data stories260K is missing");
    return;
  }
  const auto scratch = test::scratch();
  fs::copy(folder, scratch.path() / "model");
  const auto model = Checkpoint::open(scratch.path() / "model");
  const auto before = model.own_tokenizer_digest();
  REQUIRE(before);
  fs::remove(scratch.path() / "model" / "tokenizer.json");
  CHECK(model.own_tokenizer_digest() == before);
  CHECK_FALSE(Checkpoint::open(scratch.path() / "model").own_tokenizer_digest());
}

TEST_CASE("single file and shards of the same tensors give the same layers and digests") {
  const auto scratch = test::scratch();
  const auto single = scratch.path() / "single", sharded = scratch.path() / "sharded";
  fs::create_directories(single);
  fs::create_directories(sharded);
  put_single(single);
  put_sharded(sharded);
  const auto one = Checkpoint::open(single);
  const auto two = Checkpoint::open(sharded);
  CHECK(!one.has_index());
  CHECK(two.has_index());
  CHECK(two.shards().size() == 2);
  CHECK(one.layer_digest(0) == two.layer_digest(0));
  CHECK(one.layer_digest(1) == two.layer_digest(1));
  CHECK(one.layer_digest(0) != one.layer_digest(1));
  const auto layer = two.layer(1);
  CHECK(layer.contains("mlp.up_proj.weight"));
  CHECK(two.read(layer.at("mlp.up_proj.weight")) ==
        one.read(one.locate("model.layers.1.mlp.up_proj.weight")));
  CHECK(one.config_digest() == sha256(kConfig.dump()));
  CHECK(one.layer_prefix(1) == "model.layers.1.");
}

TEST_CASE("a layer digest is that of the documented list") {
  const auto scratch = test::scratch();
  put_single(scratch.path());
  const auto model = Checkpoint::open(scratch.path());
  std::string list = "[";
  for (const auto& [name, location] : model.layer(0)) {
    const Shape& shape = location.tensor->shape;
    list += fmt::format(
        R"({}["{}","F32",[{}],"{}"])", list.size() > 1 ? "," : "", name,
        shape.size() == 1 ? fmt::format("{}", shape[0]) : fmt::format("{},{}", shape[0], shape[1]),
        sha256(model.read(location)).hex());
  }
  CHECK(model.layer_digest(0) == sha256(list + "]"));
}

TEST_CASE("tensors of another file take the place of the folder's, the last one counts") {
  const auto folder = test::scratch();
  const std::string name = "model.layers.1.mlp.up_proj.weight";
  put_sharded(folder.path());
  const auto plain = Checkpoint::open(folder.path());
  const TensorInfo was = *plain.locate(name).tensor;
  const auto replacement = [&](const std::string& file, TensorInfo tensor, std::byte fill) {
    const fs::path path = folder.path() / file;
    const std::vector<std::byte> bytes(tensor.size, fill);
    const UniqueFd fd(::open(path.c_str(), O_CREAT | O_RDWR, 0600));
    write_safetensors(fd.get(), {memory_source(std::move(tensor), bytes)}, {}, file);
    return Checkpoint::Shard{file, SafetensorsFile::open(path)};
  };
  const auto open = [&](const std::string& tensor, const Shape& shape) {
    const TensorInfo info{tensor, was.dtype, shape, 0, was.size};
    std::vector<Checkpoint::Shard> replacements;
    replacements.push_back(replacement("a", info, std::byte{1}));
    replacements.push_back(replacement("b", info, std::byte{2}));
    return Checkpoint::open_with(folder.path(), std::move(replacements));
  };
  const auto view = open(name, was.shape);
  CHECK(view.read(view.locate(name)) == std::vector<std::byte>(was.size, std::byte{2}));
  CHECK(view.layer_digest(1) != plain.layer_digest(1));
  CHECK(view.layer_digest(0) == plain.layer_digest(0));
  CHECK(holds(error_of([&] { open("model.other", was.shape); }), "has no tensor 'model.other'"));
  CHECK(holds(error_of([&] { open(name, {was.size / 4}); }), "tensor '" + name + "' is F32"));
}

TEST_CASE("weights that contradict the config are refused with both values") {
  const auto scratch = test::scratch();
  auto tensors = tiny_llama();
  tensors["model.embed_tokens.weight"].second = {17, 8};
  put_single(scratch.path(), tensors);
  CHECK(holds(refusal(scratch.path()), "has shape [17, 8] but config.json demands [16, 8]"));

  tensors = tiny_llama();
  tensors["model.layers.2.input_layernorm.weight"] = {DType::F32, {8}};
  put_single(scratch.path(), tensors);
  const auto longer = Checkpoint::open(scratch.path());
  CHECK(longer.architecture().layer_count() == 2);
  REQUIRE(longer.warnings().size() == 1);
  CHECK(holds(longer.warnings().front(), "model.layers.2.input_layernorm.weight"));

  tensors = tiny_llama();
  tensors["model.layers.01.input_layernorm.weight"] = {DType::F32, {8}};
  put_single(scratch.path(), tensors);
  CHECK(holds(refusal(scratch.path()), "has no layer index"));
}

TEST_CASE(
    "a config that promises more layers than the files hold is refused with the first missing") {
  const auto scratch = test::scratch();
  for (const std::uint64_t gone : {0, 1}) {
    CAPTURE(gone);
    auto tensors = tiny_llama();
    std::erase_if(tensors, [&](const auto& entry) {
      return entry.first.starts_with("model.layers." + std::to_string(gone) + ".");
    });
    put_single(scratch.path(), tensors);
    CHECK(holds(refusal(scratch.path()), "has no tensor model.layers." + std::to_string(gone) +
                                             ".…, but config.json promises 2 layers"));
  }
}

TEST_CASE("a layer with a missing, surplus, transposed or integer tensor is refused") {
  const auto scratch = test::scratch();
  const std::string name = "model.layers.1.mlp.up_proj.weight";
  const auto refused = [&](const Tensors& tensors) {
    put_single(scratch.path(), tensors);
    const auto model = Checkpoint::open(scratch.path());
    CHECK(model.layer(0).size() == 9);
    std::string error = error_of([&] { model.layer(1); });
    CHECK(error.starts_with("corrupt: "));
    return error;
  };
  auto tensors = tiny_llama();
  tensors.erase(name);
  CHECK(holds(refused(tensors), "'" + name + "' is missing"));
  tensors[name] = {DType::F32, {8, 12}};
  CHECK(holds(refused(tensors), "has shape [8, 12] but config.json demands [12, 8]"));
  tensors[name] = {DType::I32, {12, 8}};
  CHECK(holds(refused(tensors), "is I32, expected F32"));
  tensors = tiny_llama();
  tensors["model.layers.1.self_attn.q_proj.bias"] = {DType::F32, {8}};
  CHECK(holds(refused(tensors), "does not belong to a llama layer"));
  tensors = tiny_llama();
  tensors["model.layers.1.self_attn.rotary_emb.inv_freq"] = {DType::F32, {2}};
  put_single(scratch.path(), tensors);
  CHECK(Checkpoint::open(scratch.path()).layer(1).size() == 9);
  tensors["model.layers.1.self_attn.rotary_emb.cos_cached"] = {DType::F32, {1, 1, 8, 8}};
  put_single(scratch.path(), tensors);
  CHECK(Checkpoint::open(scratch.path()).layer(1).size() == 9);
  CHECK(error_of([&] {
          Checkpoint::open(scratch.path()).layer(2);
        }).starts_with("invalid_argument: "));
}

TEST_CASE("whether T5's head is tied is what the weights say, whatever the config does") {
  const std::filesystem::path data = test::test_data() / "train";
  const auto of_its_own = Checkpoint::open(data / "t5_gated");
  CHECK(of_its_own.architecture().tied_embeddings());  // as transformers 5 writes it
  CHECK_FALSE(of_its_own.tied_head());
  CHECK(Checkpoint::open(data / "t5").tied_head());
}

TEST_CASE("whether the head is tied is what config and weights agree on") {
  const auto scratch = test::scratch();
  const auto tied = [&](const Tensors& tensors, bool config_says) {
    Json config = kConfig;
    config["tie_word_embeddings"] = config_says;
    put_single(scratch.path(), tensors, config);
    const auto model = Checkpoint::open(scratch.path());
    std::string answer = "not tied";
    const std::string error = error_of([&] {
      if (model.tied_head()) answer = "tied";
    });
    return error == "no error" ? answer : error;
  };
  auto tensors = tiny_llama();
  CHECK(tied(tensors, true) == "tied");
  CHECK(holds(tied(tensors, false), "says that the head is not tied"));
  tensors["lm_head.weight"] = {DType::F32, {16, 8}};
  CHECK(tied(tensors, false) == "not tied");
  CHECK(holds(tied(tensors, true), "'lm_head.weight' and 'model.embed_tokens.weight' differ"));

  // The one matrix under the head's name.
  tensors.erase("model.embed_tokens.weight");
  CHECK(tied(tensors, true) == "tied");
  const auto model = Checkpoint::open(scratch.path());
  CHECK(model.locate("model.embed_tokens.weight").tensor == model.locate("lm_head.weight").tensor);
  CHECK(model.embedding_places().size() == 1);
  CHECK(holds(error_of([&] { (void)model.locate("model.no"); }), "'model.no' is missing"));
}

TEST_CASE("large files are read for the first question alone") {
  const auto scratch = test::scratch();
  constexpr std::uint64_t kRows = 1 << 17, kTable = kRows * 8 * sizeof(float);
  Json config = kConfig;
  config["vocab_size"] = kRows;
  Tensors tensors = tiny_llama();
  tensors["model.embed_tokens.weight"] = {DType::F32, {kRows, 8}};
  tensors["lm_head.weight"] = {DType::F32, {kRows, 8}};
  put_single(scratch.path(), tensors, config);
  const auto bytes_of = [](const std::function<void()>& question) {
    const std::uint64_t before = bytes_read();
    question();
    return bytes_read() - before;
  };
  constexpr std::uint64_t kLittle = 1 << 12;  // what it takes to know how much was read
  const auto other = Checkpoint::open(scratch.path());
  // They differ in their first byte.
  CHECK(bytes_of([&] { CHECK(error_of([&] { (void)other.tied_head(); }) != "no error"); }) <
        kTable);
  std::string file = read_file(scratch.path() / "model.safetensors", 1 << 24);
  const auto& header = other.shards().front().file.header();
  const auto at = [&](std::string_view name) {
    return static_cast<std::size_t>(header.data_start + header.find(name)->offset);
  };
  file.replace(at("lm_head.weight"), kTable, file, at("model.embed_tokens.weight"), kTable);
  write_file(scratch.path() / "model.safetensors", file);
  const auto model = Checkpoint::open(scratch.path());
  const auto ask = [&] {
    CHECK(model.tied_head());
    CHECK(model.embedding_places().size() == 2);
  };
  CHECK(bytes_of(ask) < 2 * kTable + kLittle);
  CHECK(bytes_of(ask) < kLittle);
}

TEST_CASE("files of the base class hold the same layers as those of the model with a head") {
  const auto scratch = test::scratch();
  put_single(scratch.path());
  const auto full = Checkpoint::open(scratch.path());
  const Digest digest = full.layer_digest(1);
  const JsonText fields = full.architecture().layer_fields(0, 2);
  CHECK(full.prefix() == "model.");
  Tensors flat;
  for (const auto& [name, description] : tiny_llama()) {
    flat.emplace(name.substr(std::string("model.").size()), description);
  }
  put_single(scratch.path(), flat);
  const auto base = Checkpoint::open(scratch.path());
  CHECK(base.prefix().empty());
  CHECK(base.layer_prefix(1) == "layers.1.");
  CHECK(base.full_name("norm.weight") == "norm.weight");
  CHECK(base.architecture().layer_fields(0, 2) == fields);
  CHECK(base.layer(1).size() == 9);
  CHECK(base.layer_digest(1) != digest);  // put_shard's bytes follow from the names
  CHECK(base.tied_head());
  flat["model.layers.0.input_layernorm.weight"] = {DType::F32, {8}};
  put_single(scratch.path(), flat);
  CHECK(holds(refusal(scratch.path()), "name layers in two ways"));
}

TEST_CASE("GPT-2 files with and without the prefix hold the same layers") {
  const Json config = {{"model_type", "gpt2"}, {"n_embd", 8},      {"n_layer", 1},
                       {"n_head", 2},          {"vocab_size", 16}, {"n_positions", 4}};
  const auto model = ArchitectureReader::from_config(config, "config.json");
  const auto scratch = test::scratch();
  std::vector<std::map<std::string, Checkpoint::Location>> layers;
  for (const std::string prefix : {"", "transformer."}) {
    Tensors tensors = {{prefix + "wte.weight", {DType::F32, {16, 8}}},
                       {prefix + "h.0.attn.bias", {DType::F32, {1, 1, 4, 4}}},
                       {prefix + "h.0.attn.masked_bias", {DType::F32, {}}}};
    for (const auto& tensor : model.tensors()) {
      tensors[prefix + "h.0." + tensor.name] = {DType::F32, tensor.shape};
    }
    put_single(scratch.path(), tensors, config);
    const auto checkpoint = Checkpoint::open(scratch.path());
    CHECK(checkpoint.prefix() == prefix);
    CHECK(checkpoint.full_name("wte.weight") == prefix + "wte.weight");
    CHECK(checkpoint.full_name("lm_head.weight") == "lm_head.weight");
    CHECK(checkpoint.layer_prefix(0) == prefix + "h.0.");
    CHECK(checkpoint.layer(0).size() == 12);
    CHECK(checkpoint.tied_head());
  }
}

}  // namespace
}  // namespace organ::format
