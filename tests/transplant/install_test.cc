// SPDX-License-Identifier: Apache-2.0
#include "transplant/install.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>

#include "format/base/file.h"
#include "tests/support/checkpoint_maker.h"
#include "tests/support/support.h"
#include "transplant/extract.h"

using namespace organ;
using namespace organ::transplant;
using test::digests_of;
using test::error_of;
namespace fs = std::filesystem;

namespace {

// A recipient, and an organ of a donor with other weights.
struct Bench {
  TempFolder folder = test::scratch();
  fs::path model = folder.path() / "model";
  fs::path organ_path = folder.path() / "organ";

  explicit Bench(test::CheckpointOptions options = {}) {
    test::make_checkpoint(model, test::small_config(), options);
    test::make_checkpoint(folder.path() / "donor", test::small_config(), {.seed = 9});
    extract("donor", organ_path);
  }

  void extract(const std::string& from, const fs::path& to) {
    extract_organ(format::Checkpoint::open(folder.path() / from), {1, 2}, to,
                  {.donor_id = "donor"});
  }

  InstallOutcome install(std::uint64_t position, std::optional<fs::path> out = std::nullopt,
                         bool hard_link = false) {
    const auto organ = format::OrganFolder::open(organ_path);
    return install_organ(organ, model,
                         {.position = position,
                          .out = std::move(out),
                          .hard_link = hard_link,
                          .trust = {},
                          .source = "organ"});
  }

  std::string refusal(std::uint64_t position = 1) {
    return error_of([&] { install(position); });
  }
};

std::vector<std::byte> tensor(const fs::path& model, const std::string& name) {
  const auto checkpoint = format::Checkpoint::open(model);
  return checkpoint.read(checkpoint.locate(name));
}

void flip_byte(const fs::path& path, std::uint64_t offset) {
  std::string bytes = read_file(path, 1 << 20);
  bytes[static_cast<std::size_t>(offset)] ^= 1;
  write_file(path, bytes);
}

}  // namespace

TEST_CASE("install then uninstall gives equal SHA-256 for every file") {
  for (const unsigned shards : {1u, 3u}) {
    CAPTURE(shards);
    Bench bench({.shards = shards});
    const auto before = digests_of(bench.model);
    const InstallOutcome outcome = bench.install(0);
    CHECK(digests_of(bench.model) != before);
    CHECK(tensor(bench.model, "model.layers.0.mlp.up_proj.weight") ==
          tensor(bench.folder.path() / "donor", "model.layers.1.mlp.up_proj.weight"));
    for (const FileChange& file : outcome.receipt.files) {
      CHECK(file.before == before.at(file.path));
      CHECK(file.after == digests_of(bench.model).at(file.path));
    }
    const UninstallOutcome undone = uninstall_organ(bench.model);
    CHECK(digests_of(bench.model) == before);
    CHECK(undone.proved.size() == before.size());
    CHECK(undone.changed.empty());
    CHECK(read_receipts(bench.model).empty());
  }
}

TEST_CASE("the recipient's own layers change no byte") {
  Bench bench({.shards = 2});
  const auto before = digests_of(bench.model);
  fs::remove_all(bench.organ_path);
  bench.extract("model", bench.organ_path);
  bench.install(1);
  CHECK(digests_of(bench.model) == before);
}

TEST_CASE("a new folder gets the organ and can be undone there, the recipient stays") {
  Bench bench({.shards = 5});
  const auto before = digests_of(bench.model);
  const fs::path out = bench.folder.path() / "out";
  write_file(bench.model / "pytorch_model.bin", "old weights");
  const InstallOutcome outcome = bench.install(1, out, true);
  CHECK(outcome.left_out == std::vector<std::string>{"pytorch_model.bin"});
  CHECK_FALSE(fs::exists(out / "pytorch_model.bin"));
  fs::remove(bench.model / "pytorch_model.bin");
  CHECK(digests_of(bench.model) == before);
  CHECK_FALSE(fs::exists(bench.model / ".organ"));
  CHECK(tensor(out, "model.layers.2.input_layernorm.weight") ==
        tensor(bench.folder.path() / "donor", "model.layers.2.input_layernorm.weight"));
  CHECK(error_of([&] { bench.install(1, out); }).starts_with("already_exists"));
  uninstall_organ(out);
  CHECK(digests_of(out) == before);
  CHECK(digests_of(bench.model) == before);
}

TEST_CASE("what in place still speaks of the former weights is named, and nothing else") {
  Bench bench({.shards = 2});
  const std::vector<std::string> stale = {"consolidated.safetensors", "model.sig",
                                          "pytorch_model.bin"};
  for (const std::string& name : stale) write_file(bench.model / name, "old");
  write_file(bench.model / "notes.txt", "anything");
  CHECK(bench.install(1).stale == stale);
  CHECK(bench.install(1, bench.folder.path() / "out").stale.empty());
}

TEST_CASE("a receipt says when it was written, not when files are wished to be made") {
  Bench bench;
  ::setenv("SOURCE_DATE_EPOCH", "0", 1);
  const std::string created = bench.install(1).receipt.created;
  ::unsetenv("SOURCE_DATE_EPOCH");
  CHECK(created > "2024");
}

namespace {

// Does something when the work reaches a phase.
class AtPhase final : public Progress {
 public:
  AtPhase(std::string phase, std::function<void()> act)
      : phase_(std::move(phase)), act_(std::move(act)) {}
  void begin(std::string_view phase, std::uint64_t /*total*/, Unit /*unit*/) override {
    if (phase == phase_) act_();
  }
  void advance(std::uint64_t /*amount*/) override {}

 private:
  std::string phase_;
  std::function<void()> act_;
};

// Other bytes, the same size and the same time of the last change.
void rewrite_in_secret(const fs::path& path) {
  const auto time = fs::last_write_time(path);
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.put('!');
  file.close();
  fs::last_write_time(path, time);
}

}  // namespace

TEST_CASE("whatever changes a file of the model meanwhile ends the installation") {
  using Disturb = void (*)(const fs::path&);
  const Disturb ways[] = {rewrite_in_secret,
                          [](const fs::path& path) { write_file(path, "of another length"); },
                          [](const fs::path& path) { write_file(path, read_file(path, 1 << 20)); },
                          [](const fs::path& path) { fs::remove(path); }};
  for (const bool beside : {false, true}) {
    for (const char* name : {"notes.txt", "model-00002-of-00002.safetensors"}) {
      for (const Disturb disturb : ways) {
        CAPTURE(beside);
        CAPTURE(std::string(name));
        Bench bench({.shards = 2});
        write_file(bench.model / "notes.txt", "anything");
        // Both files were read by then.
        AtPhase at_copy(beside ? "copying" : "writing", [&] { disturb(bench.model / name); });
        const auto organ = format::OrganFolder::open(bench.organ_path);
        const std::string error = error_of([&] {
          install_organ(organ, bench.model,
                        {.position = 1,
                         .out = beside ? std::optional(bench.folder.path() / "out") : std::nullopt,
                         .hard_link = false,
                         .trust = {},
                         .source = "organ"},
                        Work(&at_copy));
        });
        CHECK(error.starts_with("conflict: '" + std::string(name) +
                                "': changed during the installation"));
        CHECK_FALSE(fs::exists(bench.folder.path() / "out"));
        CHECK(read_receipts(bench.model).empty());
      }
    }
  }
}

TEST_CASE("several organs are undone last in, first out") {
  Bench bench;
  const auto untouched = digests_of(bench.model);
  bench.install(0);
  const auto first = digests_of(bench.model);
  CHECK(bench.install(1).receipt.number == 2);
  CHECK(read_receipts(bench.model).size() == 2);
  CHECK(uninstall_organ(bench.model).undone.position == 1);
  CHECK(digests_of(bench.model) == first);
  CHECK(uninstall_organ(bench.model).undone.position == 0);
  CHECK(digests_of(bench.model) == untouched);
  CHECK_FALSE(fs::exists(bench.model / ".organ"));
  CHECK(error_of([&] { uninstall_organ(bench.model); }).starts_with("not_found"));
}

TEST_CASE("the organ's tensors take the recipient's element type and the receipt says so") {
  Bench bench({.dtype = format::DType::BF16});
  const auto before = digests_of(bench.model);
  const InstallOutcome outcome = bench.install(1);
  CHECK(outcome.receipt.conversions.size() == 18);
  CHECK(outcome.receipt.conversions[0].from == format::DType::F32);
  CHECK(outcome.receipt.conversions[0].to == format::DType::BF16);
  CHECK(tensor(bench.model, "model.layers.1.mlp.up_proj.weight").size() == 8 * 12 * 2);
  uninstall_organ(bench.model);
  CHECK(digests_of(bench.model) == before);
}

TEST_CASE("what does not fit or is damaged is refused and nothing is written") {
  Bench bench;
  const auto before = digests_of(bench.model);
  CHECK(bench.refusal(3).starts_with("incompatible: "));
  flip_byte(bench.organ_path / "layer.01.safetensors", 4096 + 5);
  const std::string damaged = bench.refusal();
  CHECK(damaged.starts_with("corrupt: "));
  CHECK(damaged.find("layer.01.safetensors") != std::string::npos);
  CHECK(digests_of(bench.model) == before);
  CHECK_FALSE(fs::exists(bench.model / ".organ"));
}

TEST_CASE("a shard that is a link into a shared cache is not changed in place") {
  Bench bench;
  const fs::path snapshot = bench.folder.path() / "models--x--y" / "snapshots" / "abc";
  const fs::path blobs = bench.folder.path() / "models--x--y" / "blobs";
  fs::create_directories(snapshot);
  fs::create_directories(blobs);
  for (const std::string& name : list_folder(bench.model)) {
    fs::rename(bench.model / name, blobs / name);
    fs::create_symlink("../../blobs/" + name, snapshot / name);
  }
  bench.model = snapshot;
  const auto before = digests_of(blobs);
  CHECK(bench.refusal().find("is a link into a cache") != std::string::npos);
  CHECK(digests_of(blobs) == before);
  const fs::path out = bench.folder.path() / "out";
  bench.install(1, out);
  CHECK(digests_of(blobs) == before);
  CHECK_FALSE(fs::is_symlink(out / "model.safetensors"));
  uninstall_organ(out);
  CHECK(digests_of(out) == before);
}

TEST_CASE("uninstall refuses a changed shard and damaged undo data, and leaves all as it is") {
  Bench bench;
  bench.install(1);
  const fs::path shard = bench.model / "model.safetensors";
  const auto installed = digests_of(bench.model);
  const std::uint64_t end = fs::file_size(shard) - 1;
  flip_byte(shard, end);
  CHECK(error_of([&] { uninstall_organ(bench.model); }).find("changed since the installation") !=
        std::string::npos);
  flip_byte(shard, end);
  const fs::path undo = bench.model / ".organ" / "undo" / "0001" / "model.safetensors";
  flip_byte(undo, 4100);
  CHECK(error_of([&] { uninstall_organ(bench.model); }).find("the undo data is damaged") !=
        std::string::npos);
  flip_byte(undo, 4100);
  CHECK(digests_of(bench.model) == installed);
  CHECK(read_receipts(bench.model).size() == 1);
}

TEST_CASE("a new folder takes along files with the longest names") {
  Bench bench;
  const std::string name(255, 'n');
  std::ofstream(bench.model / name) << "note";
  const fs::path out = bench.folder.path() / std::string(255, 'o');
  bench.install(0, out);
  CHECK(read_file(out / name, 9) == "note");
}

TEST_CASE("shards whose hard links an installation cuts are named, and no others") {
  Bench bench({.shards = 3});
  std::vector<std::string> shared;
  for (const auto& [name, digest] : digests_of(bench.model)) {
    if (!name.ends_with("1-of-00003.safetensors") && !name.ends_with(".json")) {
      fs::create_hard_link(bench.model / name, bench.folder.path() / ("other-" + name));
      shared.push_back(name);
    }
  }
  REQUIRE(shared.size() == 2);
  CHECK(bench.install(2, bench.folder.path() / "copied").unlinked.empty());
  const InstallOutcome outcome = bench.install(2);
  std::erase_if(shared, [&](const std::string& name) {
    return std::none_of(outcome.receipt.files.begin(), outcome.receipt.files.end(),
                        [&](const FileChange& file) { return file.path == name && file.undo; });
  });
  CHECK_FALSE(shared.empty());
  CHECK(outcome.unlinked == shared);
  uninstall_organ(bench.model);
  CHECK(bench.install(2).unlinked.empty());
}

TEST_CASE("a file that somebody edited meanwhile is reported, not touched") {
  Bench bench;
  bench.install(1);
  write_file(bench.model / "generation_config.json", "{\"max_length\": 9}");
  const UninstallOutcome outcome = uninstall_organ(bench.model);
  CHECK(outcome.changed == std::vector<std::string>{"generation_config.json"});
  CHECK(read_file(bench.model / "generation_config.json", 100) == "{\"max_length\": 9}");
}

TEST_CASE("a .organ that is a link is refused") {
  Bench bench;
  fs::create_directory(bench.folder.path() / "elsewhere");
  fs::create_symlink("../elsewhere", bench.model / ".organ");
  CHECK(bench.refusal().find("is a link") != std::string::npos);
  CHECK(fs::is_empty(bench.folder.path() / "elsewhere"));
}

TEST_CASE("a new folder takes along only the undo data that receipts speak of, proved") {
  Bench bench;
  bench.install(0);
  const fs::path undo = bench.model / ".organ/undo/0001", out = bench.folder.path() / "out";
  write_file(undo / "id_ed25519", "secret");
  fs::create_directory(bench.model / ".organ/undo/0002");
  write_file(bench.model / ".organ/undo/0002/notes.txt", "secret");
  bench.install(1, out);
  CHECK_FALSE(fs::exists(out / ".organ/undo/0001/id_ed25519"));
  CHECK_FALSE(fs::exists(out / ".organ/undo/0002/notes.txt"));
  fs::remove_all(out);
  flip_byte(undo / "model.safetensors", fs::file_size(undo / "model.safetensors") - 1);
  CHECK(error_of([&] { bench.install(1, out); }).find("the undo data is damaged") !=
        std::string::npos);
  CHECK_FALSE(fs::exists(out));
}

TEST_CASE("a receipt survives its text form and refuses what is malformed") {
  Bench bench;
  const Receipt receipt = bench.install(1).receipt;
  const std::string text = receipt.to_text();
  CHECK(Receipt::parse(text, "r").to_text() == text);
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string other = text;
    other.replace(other.find(from), from.size(), to);
    return error_of([&] { Receipt::parse(other, "r"); });
  };
  CHECK(with("\"schema_version\": 1", "\"schema_version\": 2").starts_with("unsupported_version"));
  CHECK(with("\"config.json\"", "\"../x.json\"").find("safe file name") != std::string::npos);
  CHECK(with("\"replace\"", "\"insert\"").starts_with("corrupt"));
  CHECK(with("sha256:", "sha255:").starts_with("corrupt"));
  CHECK(with("\"unverified\"", "\"sure\"").find("status") != std::string::npos);
}
