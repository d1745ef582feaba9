// SPDX-License-Identifier: Apache-2.0
#include "train/trainer/train_state.h"

#include <cmath>
#include <fstream>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "format/base/file.h"
#include "tests/support/support.h"

namespace organ::train {
namespace {

TrainState example(std::uint64_t step) {
  TrainState state;
  state.record.step = step;
  state.record.updates = step - 1;
  state.record.seed = 7;
  state.record.skipped = 1;
  state.record.best_nll = 0.1;
  state.record.best_step = 1;
  state.record.evaluated_step = 2;
  state.record.untouched_part = {4, 0.3, 60};
  state.record.config_digest = sha256("settings");
  state.record.data_digests = {sha256("a"), sha256("b")};
  state.record.software = {{"organ", "0.1.0"}};
  state.record.identity = {{"seed", "7"}, {"device", "cpu"}};
  state.master = {1.0f, -2.5f, static_cast<float>(step)};
  state.first_moment = {0.1f, 0.2f, 0.3f};
  state.second_moment = {0.4f, 0.5f, 0.6f};
  state.average = {0.7f, 0.8f, 0.9f};
  state.best = {1.1f, 1.2f, 1.3f};
  return state;
}

void save(const std::filesystem::path& folder, const TrainState& state) {
  save_train_state(
      folder, state.record,
      {state.master, state.first_moment, state.second_moment, state.average, state.best}, 1);
}

void flip_bit(const std::filesystem::path& path, std::streamoff at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(at);
  const char old = static_cast<char>(file.get());
  file.seekp(at);
  file.put(static_cast<char>(old ^ 1));
}

}  // namespace

TEST_CASE("a train state is read back as it was saved") {
  const auto folder = test::scratch();
  const TrainState state = example(50);
  save(folder.path() / "run", state);
  std::vector<std::string> skipped;
  const auto loaded = load_newest_train_state(folder.path() / "run", skipped);
  REQUIRE(loaded);
  CHECK(loaded->record.step == 50);
  CHECK(loaded->record.updates == 49);
  CHECK(loaded->record.seed == 7);
  CHECK(loaded->record.best_nll == 0.1);
  CHECK_FALSE(loaded->record.untouched_nll);
  CHECK(loaded->record.untouched_part.windows == 4);
  CHECK(loaded->record.untouched_part.nll == 0.3);
  CHECK(loaded->record.untouched_part.targets == 60);
  CHECK(loaded->record.config_digest == sha256("settings"));
  CHECK(loaded->record.data_digests == state.record.data_digests);
  CHECK(loaded->record.software == state.record.software);
  CHECK(loaded->record.identity == state.record.identity);
  CHECK(loaded->master == state.master);
  CHECK(loaded->first_moment == state.first_moment);
  CHECK(loaded->second_moment == state.second_moment);
  CHECK(loaded->average == state.average);
  CHECK(loaded->best == state.best);
  CHECK(loaded->record.best_step == 1);
  CHECK(loaded->record.evaluated_step == 2);
  CHECK(skipped.empty());
}

TEST_CASE("a run without average and best saves none") {
  const auto folder = test::scratch();
  TrainState state = example(50);
  state.average.clear();
  state.best.clear();
  save(folder.path(), state);
  std::vector<std::string> skipped;
  const auto loaded = load_newest_train_state(folder.path(), skipped);
  REQUIRE(loaded);
  CHECK(loaded->average.empty());
  CHECK(loaded->best.empty());
}

TEST_CASE("a state without an identity, as older organs wrote them, is read") {
  const auto folder = test::scratch();
  TrainState state = example(50);
  state.record.identity.clear();
  save(folder.path(), state);
  CHECK(read_file(folder.path() / "step-000000050.json", 1 << 20).find("identity") ==
        std::string::npos);
  std::vector<std::string> skipped;
  const auto loaded = load_newest_train_state(folder.path(), skipped);
  REQUIRE(loaded);
  CHECK(loaded->record.identity.empty());
}

TEST_CASE("of a measurement that is over, or whose sum is not finite, no part is saved") {
  const auto folder = test::scratch();
  for (const HeldOutPart& part : {HeldOutPart{}, HeldOutPart{4, std::nan(""), 60}}) {
    TrainState state = example(50);
    state.record.untouched_part = part;
    save(folder.path(), state);
    std::vector<std::string> skipped;
    const auto loaded = load_newest_train_state(folder.path(), skipped);
    REQUIRE(loaded);
    CHECK(loaded->record.untouched_part.windows == 0);
    CHECK(read_file(folder.path() / "step-000000050.json", 1 << 20).find("untouched_part") ==
          std::string::npos);
  }
}

TEST_CASE("a state with a measurement that no result could record is damaged") {
  const auto folder = test::scratch();
  TrainState state = example(50);
  state.record.untouched_nll = 3.5;
  save(folder.path(), state);
  const auto path = folder.path() / "step-000000050.json";
  const std::string sound = read_file(path, 1 << 20);
  for (const auto& [key, value] :
       {std::pair{"untouched_nll", "\"-0x1p+0\""}, std::pair{"untouched_nll", "\"0x1p+1000\""},
        std::pair{"windows", "0"}, std::pair{"nll", "\"-0x1p+4\""},
        std::pair{"nll", "\"0x1p+1000\""}}) {
    CAPTURE(key);
    CAPTURE(value);
    auto json = nlohmann::json::parse(sound);
    const bool of_part = key != std::string_view("untouched_nll");
    (of_part ? json["untouched_part"] : json)[key] = nlohmann::json::parse(value);
    std::ofstream(path) << json.dump();
    std::vector<std::string> skipped;
    const std::string said =
        test::error_of([&] { (void)load_newest_train_state(folder.path(), skipped); });
    const bool is_count = key == std::string_view("windows");
    CHECK_MESSAGE(said.find(is_count ? "windows is 0" : "no mean NLL") != said.npos, said);
  }
}

TEST_CASE("two train states are kept and the newest is used") {
  const auto folder = test::scratch();
  for (const std::uint64_t step : {10, 20, 30}) save(folder.path(), example(step));
  CHECK(list_folder(folder.path()).size() == 4);
  std::vector<std::string> skipped;
  CHECK(load_newest_train_state(folder.path(), skipped)->record.step == 30);
}

TEST_CASE("what saves that were cut off left is removed with the next one, and nothing else") {
  const auto folder = test::scratch();
  const auto names = [&] { return list_folder(folder.path()); };
  save(folder.path(), example(10));
  for (const auto* left : {"step-000000015.safetensors", ".step-000000015.json.abcdefghij.tmp"}) {
    write_file(folder.path() / left, "");
  }
  for (const auto* other : {"metrics.jsonl", "notes.tmp"}) write_file(folder.path() / other, "");
  save(folder.path(), example(20));
  CHECK(names().size() == 6);
  CHECK_FALSE(std::filesystem::exists(folder.path() / "step-000000015.safetensors"));
  remove_train_states(folder.path());
  CHECK(names() == std::vector<std::string>{"metrics.jsonl", "notes.tmp"});
}

TEST_CASE("a damaged newest state is named and the older one used") {
  const auto folder = test::scratch();
  save(folder.path(), example(10));
  save(folder.path(), example(20));
  const auto weights = folder.path() / "step-000000020.safetensors";
  const auto record = folder.path() / "step-000000020.json";
  SUBCASE("one flipped bit in the numbers") { flip_bit(weights, 4096); }
  SUBCASE("weights cut short") {
    std::filesystem::resize_file(weights, std::filesystem::file_size(weights) - 1);
  }
  SUBCASE("weights gone") { std::filesystem::remove(weights); }
  SUBCASE("record cut short") { std::filesystem::resize_file(record, 20); }
  SUBCASE("record says another step") {
    std::filesystem::copy_file(folder.path() / "step-000000010.json", record,
                               std::filesystem::copy_options::overwrite_existing);
  }
  std::vector<std::string> skipped;
  const auto state = load_newest_train_state(folder.path(), skipped);
  REQUIRE(state);
  CHECK(state->record.step == 10);
  REQUIRE(skipped.size() == 1);
  CHECK(skipped.front().find("step-000000020") != std::string::npos);
}

TEST_CASE("a folder whose states are all damaged is refused, an empty one is not") {
  const auto folder = test::scratch();
  std::vector<std::string> skipped;
  CHECK_FALSE(load_newest_train_state(folder.path(), skipped));
  CHECK_FALSE(load_newest_train_state(folder.path() / "none", skipped));
  save(folder.path(), example(10));
  flip_bit(folder.path() / "step-000000010.safetensors", 4100);
  const auto error = test::error_of([&] { (void)load_newest_train_state(folder.path(), skipped); });
  CHECK(error.starts_with("corrupt:"));
  CHECK(error.find("none of its 1 train states") != std::string::npos);
}

TEST_CASE("a state of a newer schema names the version it needs") {
  const auto folder = test::scratch();
  save(folder.path(), example(10));
  const auto record = folder.path() / "step-000000010.json";
  std::string text = read_file(record, 1 << 20);
  const std::string version = "\"schema_version\": 1";
  REQUIRE(text.find(version) != std::string::npos);
  text.replace(text.find(version), version.size(), "\"schema_version\": 2");
  write_file(record, text);
  std::vector<std::string> skipped;
  CHECK(test::error_of([&] {
          (void)load_newest_train_state(folder.path(), skipped);
        }).find("schema_version is 2") != std::string::npos);
}

TEST_CASE(
    "the largest record that may be saved is read again, a larger one is refused beforehand") {
  const auto folder = test::scratch();
  constexpr std::size_t kText = 64 << 10, kRecord = 1 << 20;
  const auto saved_or_refused = [&](const TrainState& state) {
    std::string refused = test::error_of([&] { require_savable(state.record); });
    const std::string saved = test::error_of([&] { save(folder.path() / "run", state); });
    CHECK((refused == "no error") == (saved == "no error"));
    return refused;
  };
  TrainState state = example(50);
  state.record.identity["method"] = std::string(kText, 'x');
  CHECK(saved_or_refused(state) == "no error");
  state.record.identity["method"] += 'x';
  CHECK(saved_or_refused(state).find("expected strings of at most 65536 bytes") !=
        std::string::npos);
  state.record.identity.erase("method");
  state.record.data_digests.assign(kRecord / 82, sha256("file"));  // a line of the record each
  CHECK(saved_or_refused(state) == "no error");
  state.record.data_digests.assign(kRecord / 60, sha256("file"));
  CHECK(saved_or_refused(state).starts_with(
      "invalid_argument: the train states of this run could not be read again: "));
}

}  // namespace organ::train
