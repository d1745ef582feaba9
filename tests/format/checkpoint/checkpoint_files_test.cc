// SPDX-License-Identifier: Apache-2.0
// Which files a checkpoint folder is made of, and which are refused.
#include "format/checkpoint/checkpoint.h"

#include <sys/stat.h>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "format/base/file.h"
#include "format/base/json.h"
#include "tests/format/checkpoint/checkpoint_folder.h"
#include "tests/support/support.h"
#include "tests/support/tensor_files.h"

namespace organ::format {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using test::holds;
using test::kConfig;
using test::put_config;
using test::put_index;
using test::put_shard;
using test::put_sharded;
using test::put_single;
using test::refusal;
using test::Tensors;
using test::tiny_llama;

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
  CHECK(refusal(scratch.path() / "file").starts_with("invalid_argument: "));
  CHECK(holds(refusal(scratch.path() / "file"), "is not a folder"));
}

TEST_CASE("an index that lies about the shards is refused") {
  const auto scratch = test::scratch();
  const Json good = put_sharded(scratch.path());
  const auto& folder = scratch.path();
  const auto expect = [&](const Json& weight_map, std::string_view part) {
    put_index(folder, weight_map);
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
  expect(Json::object(), "names no tensor");
  expect(Json::array(), "expected an object");
  Json control = good;
  control["a\nb"] = "model-00001-of-00002.safetensors";
  expect(control, "printable ASCII");
  write_file(folder / kShardIndex, R"({"weight_map":{"a":"b.safetensors","a":"c.safetensors"}})");
  CHECK(holds(refusal(folder), "twice"));
  write_file(folder / kShardIndex, "");
  CHECK(refusal(folder).starts_with("corrupt: "));
}

TEST_CASE("what an index says beside the names of its shards is a warning") {
  const auto scratch = test::scratch();
  const Json good = put_sharded(scratch.path());
  std::uint64_t total = 0;
  const Checkpoint right = Checkpoint::open(scratch.path());
  for (const auto& shard : right.shards()) {
    for (const auto& tensor : shard.file.header().tensors) total += tensor.size;
  }
  const auto warnings = [&](const Json& weight_map, const Json& total_size) {
    put_index(scratch.path(), weight_map, total_size);
    const auto checkpoint = Checkpoint::open(scratch.path());
    for (std::uint64_t i = 0; i < 2; ++i) {
      CHECK(checkpoint.layer_digest(i) == right.layer_digest(i));
    }
    return checkpoint.warnings();
  };
  CHECK(warnings(good, total).empty());
  CHECK(warnings(good, static_cast<double>(total)).empty());
  for (const Json& wrong : {Json(1), Json(-1), Json(1.5), Json("x"), Json::array()}) {
    CAPTURE(wrong.dump());
    const auto found = warnings(good, wrong);
    REQUIRE(found.size() == 1);
    CHECK(holds(found[0], "but the tensors have"));
  }
  Json odd = good;
  odd["model.norm.weight"] = "model-00001-of-00002.safetensors";
  odd["extra.weight"] = "model-00001-of-00002.safetensors";
  odd["extra.bias"] = "model-00001-of-00002.safetensors";
  odd.erase("model.embed_tokens.weight");
  const auto found = warnings(odd, total);
  REQUIRE(found.size() == 3);
  CHECK(holds(found[0], "'extra.bias' of model-00001-of-00002.safetensors (and 1 more)"));
  CHECK(holds(found[1], "'model.norm.weight' is in model-00002"));
  CHECK(holds(found[2], "leaves out tensors of its shards: 'model.embed_tokens.weight'"));
}

TEST_CASE("code that comes with a model and computes its layers is a warning") {
  const auto scratch = test::scratch();
  const auto warnings = [&](const Json& auto_map, const char* family) {
    Json config = kConfig;
    config["model_type"] = family;
    config["auto_map"] = auto_map;
    put_single(scratch.path(), tiny_llama(), config);
    return Checkpoint::open(scratch.path()).warnings();
  };
  const Json model = {{"AutoConfig", "configuration_x.XConfig"},
                      {"AutoModel", "modeling_x.XModel"}};
  for (const char* family : {"llama", "made_up"}) {
    CAPTURE(std::string(family));
    const auto found = warnings(model, family);
    REQUIRE(found.size() == 1);
    CHECK(holds(found[0], "(configuration_x.XConfig, modeling_x.XModel)"));
    CHECK(holds(found[0], "neither signed nor compared"));
    CHECK(warnings({{"AutoTokenizer", {"tokenization_x.XTokenizer", nullptr}}}, family).empty());
    CHECK(warnings(nullptr, family).empty());
  }
}

TEST_CASE("a tensor that the index promises and that is needed is missing from its shard") {
  const auto scratch = test::scratch();
  Json weight_map = put_sharded(scratch.path());
  const std::string name = "model.layers.1.mlp.up_proj.weight";
  Tensors second;
  for (const auto& [tensor, description] : tiny_llama()) {
    if (!tensor.starts_with("model.layers.0.") && tensor != name) {
      second.emplace(tensor, description);
    }
  }
  put_shard(scratch.path() / "model-00002-of-00002.safetensors", second);
  const auto checkpoint = Checkpoint::open(scratch.path());
  CHECK(checkpoint.layer(0).size() == 9);
  const std::string error = error_of([&] { checkpoint.layer(1); });
  CHECK(error.starts_with("corrupt: "));
  CHECK(holds(error, name));
  CHECK(holds(error, weight_map.at(name).get<std::string>()));
}

TEST_CASE("one tensor in two shards is that of the last, refused where loaders would differ") {
  const auto scratch = test::scratch();
  Json weight_map = put_sharded(scratch.path());
  Tensors first;
  for (const auto& [name, description] : tiny_llama()) {
    if (name.starts_with("model.layers.0.") || name == "model.norm.weight") {
      first.emplace(name, description);
    }
  }
  put_shard(scratch.path() / "model-00001-of-00002.safetensors", first);
  const auto model = Checkpoint::open(scratch.path());
  CHECK(model.locate("model.norm.weight").shard == 1);
  CHECK(holds(model.warnings().front(), "'model.norm.weight' is in model-00001"));
  CHECK(holds(model.warnings().front(), "and in model-00002"));
  first["model.norm.weight"] = {DType::F16, {8}};  // no copy of it
  put_shard(scratch.path() / "model-00001-of-00002.safetensors", first);
  CHECK(Checkpoint::open(scratch.path()).locate("model.norm.weight").shard == 1);  // as the index
  weight_map["model.norm.weight"] = "model-00001-of-00002.safetensors";
  put_index(scratch.path(), weight_map);
  const std::string error = refusal(scratch.path());
  CHECK(error.starts_with("incompatible: "));
  CHECK(holds(error, "loaders differ"));
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
  auto snapshot = repository / "snapshots" / "0123abcd";
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
  const auto repository = scratch.path() / "models--a--b";
  CHECK(holds(refusal(repository), "is the cache of a model, not its folder"));
  fs::create_directories(repository / "refs");
  write_file(repository / "refs" / "main", "0123abcd");
  try {
    Checkpoint::open(repository);
  } catch (const Error& error) {
    CHECK(error.hint() == "its files are in '" + snapshot.string() + "'");
  }

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

TEST_CASE("a symlink may lead below a folder that the caller trusts, and beside it not") {
  const auto scratch = test::scratch();
  const auto folder = scratch.path() / "model", cache = scratch.path() / "dvc" / "files";
  fs::create_directories(folder);
  fs::create_directories(cache);
  put_single(folder);
  fs::rename(folder / kSingleShard, cache / "ab");
  fs::create_symlink(cache / "ab", folder / kSingleShard);
  CHECK(holds(refusal(folder), "is a symlink that leaves"));
  fs::create_symlink(cache, scratch.path() / "alias");
  trust_links_below(scratch.path() / "alias");  // what the link leads to
  CHECK(refusal(folder) == "no error");
  fs::rename(cache / "ab", scratch.path() / "dvc" / "ab");
  fs::remove(folder / kSingleShard);
  fs::create_symlink(scratch.path() / "dvc" / "ab", folder / kSingleShard);
  CHECK(holds(refusal(folder), "is a symlink that leaves"));
  CHECK(error_of([&] { trust_links_below(scratch.path() / "no"); }).starts_with("not_found: "));
  CHECK(error_of([] { trust_links_below(""); }).starts_with("invalid_argument: "));
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

TEST_CASE("what is made of the weights is for those who can reach them") {
  const auto scratch = test::scratch();
  const fs::path own = scratch.path() / "own", store = scratch.path() / "store";
  fs::create_directory(own);
  fs::create_directory(store);
  put_sharded(own);
  const auto permissions = [&](unsigned folder, unsigned behind, unsigned file) {
    for (const auto& entry : fs::directory_iterator(store)) {
      fs::permissions(entry, fs::perms(file));
    }
    for (const auto& entry : fs::directory_iterator(own)) fs::permissions(entry, fs::perms(file));
    fs::permissions(own, fs::perms(folder));
    fs::permissions(store, fs::perms(behind));
    const auto model = Checkpoint::open(own);
    return std::pair{model.permissions(), model.folder_permissions()};
  };
  CHECK(permissions(0755, 0700, 0644) == std::pair{0644u, 0755u});
  CHECK(permissions(0755, 0700, 0640) == std::pair{0640u, 0755u});
  CHECK(permissions(0750, 0700, 0664) == std::pair{0660u, 0750u});
  CHECK(permissions(0711, 0700, 0644) ==
        std::pair{0644u, 0711u});  // who knows the name can read it
  CHECK(permissions(0744, 0700, 0644) == std::pair{0600u, 0700u});  // nobody else can open a file
  CHECK(permissions(0700, 0700, 0666) == std::pair{0600u, 0700u});
  const std::string shard = "model-00001-of-00002.safetensors";
  fs::rename(own / shard, store / shard);
  fs::create_symlink(store / shard, own / shard);
  trust_links_below(store);
  CHECK(permissions(0755, 0755, 0644) == std::pair{0644u, 0755u});
  CHECK(permissions(0755, 0750, 0644) == std::pair{0640u, 0750u});
  CHECK(permissions(0755, 0700, 0644) == std::pair{0600u, 0700u});
  CHECK(permissions(0700, 0755, 0644) == std::pair{0600u, 0700u});
}

}  // namespace
}  // namespace organ::format
