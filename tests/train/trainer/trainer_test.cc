// SPDX-License-Identifier: Apache-2.0
#include "train/trainer/trainer.h"

#include "tests/train/support/doctest.h"

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "format/base/error.h"
#include "format/base/file.h"
#include "tests/support/support.h"
#include "tests/support/watcher.h"
#include "tests/train/support/fixture.h"
#include "tests/train/support/given_run.h"
#include "tests/train/support/run_texts.h"
#include "tests/train/support/watched_calls.h"
#include "train/baselines/baselines.h"
#include "train/data/task_draw.h"

namespace organ::test {
namespace {

constexpr std::uint64_t kSteps = 4;

class Runs {
 public:
  train::TrainResult run(train::TrainObserver& observer, const std::string& folder, bool resume) {
    train::TrainSettings settings;
    settings.layers = {1, 1};
    settings.context = data_.training.context();
    settings.batch = 2;
    settings.steps = kSteps;
    settings.evaluate_every = 2;
    settings.rate = 1e-2;
    settings.run_folder = folder_.path() / folder;
    settings.resume = resume;
    return train::train_layers({fixture_.checkpoint, settings, data_, observer});
  }

 private:
  TempFolder folder_ = scratch();
  Fixture fixture_{"llama"};
  train::RunData data_ = letter_run_data(folder_.path());
};

// The refusal of data that were read by `change`d options.
std::string refusal(const std::string& model,
                    const std::function<void(train::RunDataOptions&)>& change) {
  Given given(model);
  change(given.options);
  return given.error(given.read());
}

}  // namespace

TEST_CASE("data that were read with other settings than the run's are refused, each by name") {
  using Options = train::RunDataOptions;
  CHECK(Given("llama").error(Given("llama").read()) == "no error");
  CHECK(
      refusal("llama", [](Options& o) { o.context = 16; }) ==
      "invalid_argument: training data: context is 16, expected 32, which is recorded of the run");
  CHECK(refusal("llama", [](Options& o) {
          o.packing = train::Packing::concat;
        }).starts_with("invalid_argument: training data: packing is concat, expected ffd"));
  CHECK(refusal("t5", [](Options& o) {
          o.seed = 7;
        }).starts_with("invalid_argument: training data: seed of the draw is 7, expected 3"));
  const auto set_aside = [](std::uint64_t seed) {
    return [seed](Options& o) {
      o.held_out = {};
      o.held_out_share = 0.4;
      o.seed = seed;
    };
  };
  CHECK(refusal("llama", set_aside(7))
            .starts_with(
                "invalid_argument: held-out data: seed of the choice of files is 7, expected 3"));
  CHECK(refusal("llama", set_aside(3)) == "no error");
}

TEST_CASE("held-out data that an evaluation would read otherwise are refused, each by name") {
  const auto replaced = [](const std::string& model, const train::Dataset::Options& options,
                           std::uint64_t seed) {
    const Given given(model);
    train::RunData data = given.read();
    const auto tokenizer = train::Tokenizer::open(given.checkpoint.folder());
    data.held_out =
        train::Dataset::from_texts(given.options.held_out.texts, tokenizer,
                                   given.checkpoint.architecture().vocab_size(), options);
    train::set_task(*data.held_out, given.checkpoint, &tokenizer, seed);
    return given.error(data);
  };
  CHECK(replaced("llama", {.context = 32}, 0) == "no error");
  CHECK(replaced("llama", {.context = 16}, 0)
            .starts_with("invalid_argument: held-out data: context is 16, expected 32"));
  CHECK(replaced("llama", {.context = 32, .packing = train::Packing::ffd}, 0)
            .starts_with("invalid_argument: held-out data: packing is ffd, expected concat"));
  CHECK(replaced("t5", {.context = 32}, 3)
            .starts_with("invalid_argument: held-out data: seed of the draw is 3, expected 0"));
}

TEST_CASE("data that another tokenizer read are refused") {
  Given given("llama");
  const train::RunData data = given.read();
  write_letter_tokenizer(given.checkpoint.folder());
  given.checkpoint = format::Checkpoint::open(std::filesystem::path(given.checkpoint.folder()));
  CHECK(given.error(data).starts_with("invalid_argument: data: tokenizer is sha256:"));
}

TEST_CASE("what reads the model before the first step is watched, and ended with nothing written") {
  Given given("llama");
  const train::RunData data = given.read();
  given.settings.run_folder = given.folder.path() / "new";
  Stopper never(SIZE_MAX);
  for (const std::uint64_t steps : {std::uint64_t{0}, std::uint64_t{1}}) {
    Watcher ending(steps);
    CHECK(error_of([&] {
            (void)train::train_layers(
                {given.checkpoint, given.settings, data, never, nullptr, Work(&ending)});
          }) == "cancelled: cancelled");
    CHECK_FALSE(std::filesystem::exists(given.settings.run_folder));
  }
  Watcher watcher;
  (void)train::train_layers(
      {given.checkpoint, given.settings, data, never, nullptr, Work(&watcher)});
  check_phases(watcher);
  CHECK(watcher.names() == std::vector<std::string>{"hashing the model"});
}

TEST_CASE("each measurement of held-out data tells how far it is") {
  Given given("llama");
  given.settings.steps = 2;
  given.settings.batch = 1;
  given.settings.evaluate_every = 1;
  given.settings.mode = train::TrainMode::wrapper;
  const train::RunData data = given.read();
  Stopper never(SIZE_MAX);
  (void)train::train_layers({given.checkpoint, given.settings, data, never});
  const std::int64_t windows = data.held_out->windows();
  std::vector<std::pair<std::int64_t, std::int64_t>> expected;
  // Before, after step 1, after the last, and what Embed o Organ o Head alone has.
  for (int measurement = 0; measurement < 4; ++measurement) {
    for (std::int64_t done = 0; done < windows; ++done) expected.emplace_back(done, windows);
  }
  CHECK(never.measured == expected);
}

TEST_CASE("a measurement before training goes on where it was interrupted, to the bit") {
  Given given("llama");
  given.options.held_out.texts = {
      given.write("b.txt", "ijklmnop" + given.text + given.text + "cab" + given.text + given.text)};
  const train::RunData data = given.read();
  REQUIRE(data.held_out->windows() > 4);
  // The windows that a run builds, whoever watches it.
  const auto built = [&](Stopper& observer, const std::string& folder, const std::string& ends) {
    const std::uint64_t before = windows_built();
    CHECK(error_of([&] { (void)given.run(data, observer, folder); }).starts_with(ends));
    return windows_built() - before;
  };
  Stopper never(SIZE_MAX);
  const std::uint64_t straight = built(never, "straight", "no error");
  for (const std::size_t passes : {1, 2, 4}) {
    const std::string folder = "stopped" + std::to_string(passes);
    Stopper first(1 + passes), second(SIZE_MAX);  // it is asked once before the measurement
    given.settings.resume = false;
    (void)built(first, folder, "cancelled: training: interrupted at step 0");
    CHECK(first.measured.size() == passes);
    given.settings.resume = true;
    CHECK(built(second, folder, "no error") == straight - passes);
    CHECK(second.held_out == never.held_out);
  }
  // Of other windows than its targets are in: it is measured again.
  for (const std::string number : {"windows", "targets"}) {
    CAPTURE(number);
    const std::string edited = "edited " + number;
    Stopper first(3), second(SIZE_MAX);
    given.settings.resume = false;
    (void)built(first, edited, "cancelled: training: interrupted at step 0");
    const auto path = given.folder.path() / edited / "step-000000000.json";
    auto state = nlohmann::json::parse(read_file(path, 1 << 20));
    auto& part = state.at("untouched_part");
    part[number] = 2 * part.at(number).get<std::uint64_t>();
    std::ofstream(path) << state.dump();
    given.settings.resume = true;
    CHECK(built(second, edited, "no error") == straight);
    CHECK(second.held_out == never.held_out);
  }
}

TEST_CASE("each window of a step is built once") {
  // Counts between two steps.
  struct Counter final : Stopper {
    Counter() : Stopper(SIZE_MAX) {}
    void step(const train::StepMetrics& m, std::uint64_t) override {
      counts.push_back(windows_built() - before);
      before = windows_built();
      rows.push_back(m.windows.size());
    }
    std::vector<std::uint64_t> counts, rows;
    std::uint64_t before = 0;
  };
  for (const bool cached : {false, true}) {
    Given given("llama");
    given.settings.steps = 4;
    given.settings.layers = {1, 1};
    given.settings.batch = 2;
    given.settings.accumulate = 3;
    if (cached) given.settings.cache_folder = given.folder.path() / "cache";
    const train::RunData data = given.read();
    Counter counter;
    (void)train::train_layers({given.checkpoint, given.settings, data, counter});
    REQUIRE(counter.counts.size() == 4);
    for (std::size_t step = 1; step < 4; ++step) {  // before the first the self-tests build some
      CHECK(counter.rows[step] == 6);
      CHECK(counter.counts[step] == 6);
    }
  }
}

TEST_CASE("a run hashes each tensor of its model once, with a cache folder and without") {
  for (const bool cached : {false, true}) {
    Given given("llama");
    given.settings.layers = {2, 1};
    if (cached) given.settings.cache_folder = given.folder.path() / "cache";
    const train::RunData data = given.read();
    std::uint64_t bytes = 0;
    for (const auto& shard : given.checkpoint.shards()) {
      for (const auto& tensor : shard.file.header().tensors) bytes += tensor.size;
    }
    const std::uint64_t before = bytes_hashed();
    CHECK(given.error(data) == "no error");
    CHECK(bytes_hashed() - before == bytes);
  }
}

TEST_CASE("of windows that are drawn anew the cache folder keeps those that are measured alone") {
  for (const auto draw : {train::TaskDraw::each_epoch, train::TaskDraw::once}) {
    Given given("t5");
    given.settings.draw = draw;
    given.settings.cache_folder = given.folder.path() / "cache";
    const train::RunData data = given.read();
    const auto windows = static_cast<std::uint64_t>(data.training.windows());
    const auto held_out = static_cast<std::uint64_t>(data.held_out->windows());
    given.settings.steps = 2 * windows;  // of one window
    const auto use = [&](const char* folder) {
      given.settings.run_folder = given.folder.path() / folder;
      Stopper observer(SIZE_MAX);
      return train::train_layers({given.checkpoint, given.settings, data, observer}).prefix;
    };
    const bool anew = draw == train::TaskDraw::each_epoch;
    const train::PrefixUse first = use("first"), second = use("second");
    CHECK(first.computed == (anew ? 2 * windows : windows) + held_out);
    CHECK(first.read == (anew ? 0 : windows) + held_out);
    CHECK(second.computed == (anew ? 2 * windows : 0));
    CHECK(second.read == (anew ? 0 : 2 * windows) + 2 * held_out);
    std::uint64_t entries = 0;
    for (const auto& entry : std::filesystem::directory_iterator(given.settings.cache_folder)) {
      entries += entry.path().filename().string().size() == 64;
    }
    CHECK(entries == (anew ? 0 : windows) + held_out);
  }
}

TEST_CASE("a process of several starts its own device and its share of the machine") {
  Given given("llama");
  given.settings.machine = {.device = {train::Device::Kind::cuda, -1}, .own_process = true};
  given.settings.place = train::ProcessPlace{
      .rank = 1, .size = 2, .local_rank = 1, .local_size = 2, .address = "127.0.0.1", .port = 1};
  given.settings.batch = 2;
  const train::RunData data = given.read();
  const train::Device own{train::Device::Kind::cuda, 1};
  const auto check = [&](const std::string& error) {
    CHECK(error == "device: kept from other devices");
    const StartedMachine last = take_last_start();
    CHECK(last.choice.device == own);
    CHECK(last.choice.own_process);
    CHECK(last.processes == 2);
  };
  check(given.error(data));
  check(error_of(
      [&] { (void)train::gradient_magnitudes(given.checkpoint, given.settings, data.training); }));
}

TEST_CASE("layers that the checkpoint has not are refused before anything is made") {
  Given given("llama");
  const train::RunData data = given.read();
  const std::uint64_t count = given.checkpoint.architecture().layer_count();
  for (const format::LayerRange layers :
       {format::LayerRange{}, {count, 1}, {count - 1, 2}, {UINT64_MAX - 1, 3}, {0, UINT64_MAX}}) {
    given.settings.layers = layers;
    CHECK(given.error(data).starts_with("invalid_argument: layers: "));
  }
  CHECK_FALSE(std::filesystem::exists(given.settings.run_folder));
}

TEST_CASE("a stop asked for at any question saves a train state and costs no bit of the result") {
  Runs runs;
  Stopper never(SIZE_MAX);
  const train::TrainResult straight = runs.run(never, "straight", false);
  REQUIRE(never.losses.size() == kSteps);
  REQUIRE(never.questions > kSteps);
  for (std::size_t at = 0; at < never.questions; ++at) {
    CAPTURE(at);
    const std::string folder = "stopped" + std::to_string(at);
    Stopper first(at);
    ErrorCode code = ErrorCode::internal;
    try {
      (void)runs.run(first, folder, false);
    } catch (const Error& error) {
      code = error.code();
    }
    CHECK(code == ErrorCode::cancelled);
    Stopper second(SIZE_MAX);
    CHECK(same_numbers(runs.run(second, folder, true), straight));
    std::vector<double> losses = first.losses;
    losses.insert(losses.end(), second.losses.begin(), second.losses.end());
    CHECK(losses == never.losses);
  }
}

}  // namespace organ::test
