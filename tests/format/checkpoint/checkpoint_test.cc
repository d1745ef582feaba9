// SPDX-License-Identifier: Apache-2.0
#include "format/checkpoint/checkpoint.h"
#include "format/architecture/architecture_reader.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "format/base/file.h"
#include "format/base/json.h"
#include "tests/support/data.h"
#include "tests/support/support.h"
#include "tests/support/tensor_files.h"

namespace organ::format {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using test::put_shard;
using test::Tensors;
using test::tiny_llama;

const Json kConfig = test::tiny_llama_config();

void put_config(const fs::path& folder, const Json& config = kConfig) {
  write_file(folder / "config.json", config.dump());
}

void put_index(const fs::path& folder, const Json& weight_map, const Json& total = nullptr) {
  Json index = {{"weight_map", weight_map}};
  if (!total.is_null()) index["metadata"] = {{"total_size", total}};
  write_file(folder / kShardIndex, index.dump());
}

// Two shards: layer 0 in the first, the rest in the second; returns the weight_map.
Json put_sharded(const fs::path& folder) {
  put_config(folder);
  Tensors shards[2];
  Json weight_map = Json::object();
  for (const auto& [name, description] : tiny_llama()) {
    const bool first = name.starts_with("model.layers.0.");
    shards[first ? 0 : 1].emplace(name, description);
    weight_map[name] =
        first ? "model-00001-of-00002.safetensors" : "model-00002-of-00002.safetensors";
  }
  put_shard(folder / "model-00001-of-00002.safetensors", shards[0]);
  put_shard(folder / "model-00002-of-00002.safetensors", shards[1]);
  put_index(folder, weight_map);
  return weight_map;
}

void put_single(const fs::path& folder, const Tensors& tensors = tiny_llama(),
                const Json& config = kConfig) {
  test::put_model(folder, tensors, config);
}

std::string refusal(const fs::path& folder) {
  return error_of([&] { Checkpoint::open(folder); });
}

bool holds(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
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

TEST_CASE("a folder without config or weights is not found and pickles are only named") {
  const auto scratch = test::scratch();
  CHECK(refusal(scratch.path() / "no").starts_with("not_found: "));
  CHECK(holds(refusal(scratch.path()), "config.json"));
  put_config(scratch.path());
  CHECK(holds(refusal(scratch.path()), "has neither model.safetensors nor"));
  write_file(scratch.path() / "pytorch_model.bin", "\x80\x02.");
  const std::string error = refusal(scratch.path());
  CHECK(error.starts_with("not_found: "));
  CHECK(holds(error, "only 'pytorch_model.bin'"));
  write_file(scratch.path() / "file", "");
  CHECK(holds(refusal(scratch.path() / "file"), "is not a folder"));
}

TEST_CASE("an index that lies about the shards is refused") {
  const auto scratch = test::scratch();
  const Json good = put_sharded(scratch.path());
  const auto& folder = scratch.path();
  const auto expect = [&](const Json& weight_map, std::string_view part,
                          const Json& total = nullptr) {
    put_index(folder, weight_map, total);
    const std::string error = refusal(folder);
    CAPTURE(error);
    CHECK((error.starts_with("corrupt: ") || error.starts_with("not_found: ")));
    CHECK(holds(error, part));
  };
  for (const char* name :
       {"../x.safetensors", "/etc/x.safetensors", "a\\b.safetensors", "sub/x.safetensors",
        ".safetensors", "", "..", "model.bin", "CON.safetensors"}) {
    CAPTURE(std::string(name));
    Json bad = good;
    bad["model.norm.weight"] = name;
    expect(bad, "model.norm.weight");
  }
  Json nul = good;
  nul["model.norm.weight"] = std::string("a\0.safetensors", 14);
  expect(nul, "is not the name of a safetensors file");
  Json number = good;
  number["model.norm.weight"] = 7;
  expect(number, "expected a string");

  Json missing_shard = good;
  missing_shard["model.norm.weight"] = "model-00003-of-00002.safetensors";
  expect(missing_shard, "does not exist");
  Json wrong_shard = good;
  wrong_shard["model.norm.weight"] = "model-00001-of-00002.safetensors";
  expect(wrong_shard, "'model.norm.weight' is in model-00002");
  Json not_there = good;
  not_there["extra.weight"] = "model-00001-of-00002.safetensors";
  expect(not_there, "'extra.weight' is missing from model-00001");
  Json unnamed = good;
  unnamed.erase("model.norm.weight");
  expect(unnamed, "'model.norm.weight' of model-00002-of-00002.safetensors is not in");
  expect(Json::object(), "names no tensor");
  expect(Json::array(), "expected an object");
  expect(good, "total_size 1 but the tensors have", 1);
  expect(good, "expected an unsigned integer", -1);
  expect(good, "expected an integer, got", 1.5);
  Json control = good;
  control["a\nb"] = "model-00001-of-00002.safetensors";
  expect(control, "printable ASCII");
  write_file(folder / kShardIndex, R"({"weight_map":{"a":"b.safetensors","a":"c.safetensors"}})");
  CHECK(holds(refusal(folder), "twice"));
  write_file(folder / kShardIndex, "");
  CHECK(refusal(folder).starts_with("corrupt: "));
}

TEST_CASE("a right total_size is accepted as an integer and as a real number") {
  const auto scratch = test::scratch();
  const Json weight_map = put_sharded(scratch.path());
  std::uint64_t total = 0;
  const Checkpoint checkpoint = Checkpoint::open(scratch.path());
  for (const auto& shard : checkpoint.shards()) {
    for (const auto& tensor : shard.file.header().tensors) total += tensor.size;
  }
  put_index(scratch.path(), weight_map, total);
  CHECK(refusal(scratch.path()) == "no error");
  put_index(scratch.path(), weight_map, static_cast<double>(total));
  CHECK(refusal(scratch.path()) == "no error");
}

TEST_CASE("one tensor in two shards is refused") {
  const auto scratch = test::scratch();
  put_sharded(scratch.path());
  Tensors first;
  for (const auto& [name, description] : tiny_llama()) {
    if (name.starts_with("model.layers.0.") || name == "model.norm.weight") {
      first.emplace(name, description);
    }
  }
  put_shard(scratch.path() / "model-00001-of-00002.safetensors", first);
  CHECK(holds(refusal(scratch.path()), "'model.norm.weight' is in model-00001"));
}

TEST_CASE("a single file beside an index that does not name it is ambiguous") {
  const auto scratch = test::scratch();
  put_sharded(scratch.path());
  put_shard(scratch.path() / kSingleShard, tiny_llama());
  CHECK(holds(refusal(scratch.path()), "has both model.safetensors and"));
}

TEST_CASE("Git LFS pointers are named as such") {
  const auto scratch = test::scratch();
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n";
  put_config(scratch.path());
  write_file(scratch.path() / kSingleShard, pointer);
  CHECK(holds(refusal(scratch.path()), "Git LFS pointer"));
  write_file(scratch.path() / "config.json", pointer);
  CHECK(holds(refusal(scratch.path()), "config.json': is a Git LFS pointer"));
}

// root/models--a--b/{blobs,snapshots/<revision>} with every file a symlink into blobs/.
fs::path put_cache(const fs::path& root) {
  const auto repository = root / "models--a--b";
  const auto snapshot = repository / "snapshots" / "0123abcd";
  fs::create_directories(repository / "blobs");
  fs::create_directories(snapshot);
  put_single(repository / "blobs");
  for (const std::string_view name : {kConfigFile, kSingleShard}) {
    const std::string blob = sha256(name).hex();
    fs::rename(repository / "blobs" / name, repository / "blobs" / blob);
    fs::create_symlink("../../blobs/" + blob, snapshot / name);
  }
  return snapshot;
}

TEST_CASE("cache snapshots are followed into their own blobs and nowhere else") {
  const auto scratch = test::scratch();
  const auto snapshot = put_cache(scratch.path());
  CHECK(Checkpoint::open(snapshot).layer(1).size() == 9);
  fs::create_symlink(snapshot, scratch.path() / "alias");
  CHECK(refusal(scratch.path() / "alias") == "no error");

  const auto weights = snapshot / kSingleShard;
  const auto target = fs::canonical(weights);
  const auto relink = [&](const fs::path& to) {
    fs::remove(weights);
    fs::create_symlink(to, weights);
    return refusal(snapshot);
  };
  fs::create_directories(scratch.path() / "models--c--d" / "blobs");
  fs::copy_file(target, scratch.path() / "models--c--d" / "blobs" / "x");
  CHECK(holds(relink("../../../models--c--d/blobs/x"), "is a symlink that leaves"));
  CHECK(holds(relink("/etc/hostname"), "is a symlink that leaves"));
  CHECK(relink("../../blobs/gone").starts_with("not_found: "));
  CHECK(holds(relink("../../blobs/gone"), "symlink to nothing"));
  CHECK(holds(relink(std::string(kSingleShard)), "loop"));
  CHECK(relink(target) == "no error");
}

TEST_CASE("outside a cache a symlink may not leave the folder") {
  const auto scratch = test::scratch();
  const auto folder = scratch.path() / "model";
  fs::create_directories(folder);
  put_single(folder);
  fs::rename(folder / kSingleShard, scratch.path() / "weights");
  fs::create_symlink("../weights", folder / kSingleShard);
  CHECK(holds(refusal(folder), "is a symlink that leaves"));
  fs::remove(folder / kSingleShard);
  fs::rename(scratch.path() / "weights", folder / "real.safetensors");
  fs::create_symlink("real.safetensors", folder / kSingleShard);
  CHECK(refusal(folder) == "no error");
}

TEST_CASE("a FIFO, a folder or a device in place of a file is refused without blocking") {
  const auto scratch = test::scratch();
  const auto weights = scratch.path() / kSingleShard;
  put_config(scratch.path());
  REQUIRE(mkfifo(weights.c_str(), 0600) == 0);
  CHECK(refusal(scratch.path()).starts_with("corrupt: "));
  fs::remove(weights);
  fs::create_directory(weights);
  CHECK(refusal(scratch.path()).starts_with("corrupt: "));
  fs::remove(scratch.path() / "config.json");
  REQUIRE(mkfifo((scratch.path() / "config.json").c_str(), 0600) == 0);
  CHECK(refusal(scratch.path()).starts_with("corrupt: "));
}

TEST_CASE("config.json that is not one small JSON object is refused") {
  const auto scratch = test::scratch();
  put_single(scratch.path());
  for (const char* text : {"", "[]", "null", "{", "{}{}", "{\"hidden_size\":NaN}"}) {
    CAPTURE(std::string(text));
    write_file(scratch.path() / "config.json", text);
    CHECK(refusal(scratch.path()).starts_with("corrupt: "));
  }
  write_file(scratch.path() / "config.json", std::string((16 << 20) + 1, ' '));
  CHECK(holds(refusal(scratch.path()), "16777216"));
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
  CHECK(holds(refusal(scratch.path()), "is beyond the 2 layers of config.json"));

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
    const std::string error = error_of([&] { model.layer(1); });
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
