// SPDX-License-Identifier: Apache-2.0
#include "format/checkpoint/checkpoint_copy.h"

#include <doctest/doctest.h>

#include <sys/resource.h>

#include <csignal>
#include <map>
#include <string>
#include <vector>

#include "format/base/file.h"
#include "tests/support/checkpoint_maker.h"
#include "tests/support/support.h"
#include "tests/support/watcher.h"

using namespace organ;
using namespace organ::format;
using test::digests_of;
namespace fs = std::filesystem;

namespace {

struct Bench {
  TempFolder folder = test::scratch();
  fs::path model = folder.path() / "model";
  fs::path out = folder.path() / "out";

  Bench() { test::make_checkpoint(model, test::small_config(), {.shards = 3}); }

  // With `tensor` all zero.
  void copy(const std::string& tensor, const Work& work = {}) const {
    const Checkpoint checkpoint = Checkpoint::open(model);
    const auto place = checkpoint.locate(tensor);
    const std::vector<std::byte> zero(place.tensor->size);
    copy_checkpoint_with(checkpoint, {{place.shard, memory_source(*place.tensor, zero)}}, out,
                         "record.json", "{}", work);
  }
};

// No file may get longer than this while it lives.
class FileLimit {
 public:
  explicit FileLimit(rlim_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }
  FileLimit(const FileLimit&) = delete;
  FileLimit& operator=(const FileLimit&) = delete;

 private:
  rlimit before_{};
};

const std::string kNorm = "model.layers.1.input_layernorm.weight";

}  // namespace

TEST_CASE("a copy has the new bytes in their places, its record, and all else as it was") {
  const Bench bench;
  write_file(bench.model / "notes.txt", "kept");
  auto expected = digests_of(bench.model);
  test::Watcher watcher;
  bench.copy(kNorm, Work(&watcher));
  test::check_phases(watcher);
  const Checkpoint from = Checkpoint::open(bench.model), to = Checkpoint::open(bench.out);
  const auto place = from.locate(kNorm);
  CHECK(to.read(to.locate(kNorm)) == std::vector<std::byte>(place.tensor->size));
  auto found = digests_of(bench.out);
  CHECK(found.erase("record.json") == 1);
  const std::string& changed = from.shards().at(place.shard).file_name;
  CHECK(found.at(changed) != expected.at(changed));
  for (auto* digests : {&expected, &found}) digests->erase(changed);
  CHECK(found == expected);
}

TEST_CASE("a copy leaves out and names what is no file of the model or of its old weights") {
  const Bench bench;
  write_file(bench.folder.path() / "secret.txt", "SECRET");
  write_file(bench.model / "my notes.txt", "an odd name");
  write_file(bench.model / ".gitattributes", "");
  fs::create_directory(bench.model / "onnx");
  fs::create_symlink("../secret.txt", bench.model / "away.txt");
  fs::create_symlink("nothing", bench.model / "dangling.txt");
  fs::create_symlink("config.json", bench.model / "inside.json");
  const std::vector<std::string> old = {"consolidated.safetensors",
                                        "consolidated.safetensors.index.json",
                                        "flax_model.msgpack.index.json",
                                        "model.fp16.safetensors.index.json",
                                        "model.sig",
                                        "pytorch_model.bin",
                                        "pytorch_model.bin.index.json",
                                        "tf_model.h5.index.json"};
  for (const std::string& name : old) write_file(bench.model / name, "{}");
  std::map<std::string, bool> expected = {
      {"away.txt", true}, {"dangling.txt", false}, {"my notes.txt", false}, {"onnx", false}};
  for (const std::string& name : old) expected.emplace(name, false);

  std::map<std::string, bool> left_out;
  for (const LeftOut& entry : left_out_of_copy(Checkpoint::open(bench.model))) {
    left_out.emplace(entry.name, entry.leads_away);
  }
  CHECK(left_out == expected);
  bench.copy(kNorm);
  for (const std::string& name : list_folder(bench.model)) {
    CAPTURE(name);
    CHECK(fs::exists(bench.out / name) == (!expected.contains(name) && name != ".gitattributes"));
  }
  CHECK(fs::exists(bench.out / kShardIndex));
  CHECK_FALSE(fs::is_symlink(bench.out / "inside.json"));
}

TEST_CASE("what cannot be written is named once, wherever the copy stops") {
  const Bench bench;
  write_file(bench.model / "long.txt", std::string(100'000, 'x'));
  for (const rlim_t limit : {1000, 50'000}) {
    CAPTURE(limit);
    const FileLimit no_longer(limit);
    const std::string error = test::error_of([&] { bench.copy(kNorm); });
    CHECK(error.starts_with("io: '/"));
    CHECK(error.find("''") == std::string::npos);
    CHECK_FALSE(fs::exists(bench.out));
  }
}
