// SPDX-License-Identifier: Apache-2.0
// Runs over a model that is loaded already, and from data in memory.
#include "tests/train/support/doctest.h"

#include <functional>
#include <string>
#include <vector>

#include <ATen/Parallel.h>

#include "tests/support/data.h"
#include "tests/support/support.h"
#include "tests/train/support/given_run.h"
#include "train/adapter/adapter.h"
#include "train/baselines/baselines.h"
#include "train/model/loaded_model.h"
#include "train/passes/sequence.h"

namespace organ::test {

TEST_CASE("a run from memory over a loaded model has the bits of one that reads and loads") {
  for (const char* model : {"llama", "t5"}) {
    for (const auto precision : {train::Precision::fp32, train::Precision::bf16}) {
      CAPTURE(model);
      Given files(model);
      files.settings.precision = precision;
      files.settings.steps = 3;
      files.settings.evaluate_every = 1;
      Stopper first(SIZE_MAX);
      const auto straight = files.run(files.read(), first, "files");
      const train::LoadedModel loaded =
          train::LoadedModel::load(format::Checkpoint::open(files.checkpoint.folder()), precision);
      const std::string a = files.text, b = "ijklmnop" + a, c = a + "cab";
      train::RunDataOptions memory = files.options;
      memory.training.texts = {train::TextSource::in_memory("a.txt", a),
                               train::TextSource::in_memory("c.txt", c)};
      memory.held_out.texts = {train::TextSource::in_memory("b.txt", b)};
      const train::RunData data = train::read_run_data(loaded.checkpoint(), memory);
      for (const char* folder : {"memory", "again"}) {  // the first run leaves no trace
        Stopper second(SIZE_MAX);
        const auto result = files.run(data, second, folder, &loaded);
        CHECK(same_numbers(result, straight));
        CHECK(second.losses == first.losses);
        CHECK(second.held_out == first.held_out);
        CHECK(result.before->nll == straight.before->nll);
        CHECK(result.after->nll == straight.after->nll);
      }
      // A run that files began is gone on with from memory.
      Stopper stopped(first.questions / 2);  // with steps left
      CHECK(error_of([&] {
              (void)files.run(files.read(), stopped, "stopped");
            }).starts_with("cancelled: "));
      files.settings.resume = true;
      CHECK(same_numbers(files.run(data, stopped.never(), "stopped", &loaded), straight));
    }
  }
}

TEST_CASE("whatever a run trains, a loaded model is what it was") {
  Given given("llama");
  given.settings.layers = {0, given.checkpoint.architecture().layer_count()};
  given.settings.steps = 2;
  const train::LoadedModel loaded = train::LoadedModel::load(
      format::Checkpoint::open(given.checkpoint.folder()), given.settings.precision);
  const train::RunData data = given.read();
  const std::vector<std::int32_t> ids = {1, 2, 3, 4};
  const auto last = static_cast<std::uint64_t>(loaded.layer_count());
  const auto before = train::stream_of(loaded, ids, last);
  const std::vector<std::uint64_t> chosen = {0, 2};
  train::Adapter adapter =
      train::read_adapter(test_data() / "adapters" / "prompt", given.checkpoint.architecture());
  const std::vector<std::function<train::TrainResult(const train::TrainInputs&)>> methods = {
      [](const auto& inputs) { return train::train_whole_model(inputs); },
      [](const auto& inputs) { return train::train_top_elements(inputs, 0.1); },
      [&](const auto& inputs) { return train::train_chosen_layers(inputs, chosen); },
      [&](const auto& inputs) { return train::train_adapter(inputs, adapter); }};
  for (std::size_t i = 0; i < methods.size(); ++i) {
    CAPTURE(i);
    const auto values = adapter.values;
    Stopper first(SIZE_MAX), second(SIZE_MAX);
    given.settings.run_folder = given.folder.path() / ("own" + std::to_string(i));
    const auto own = methods[i]({given.checkpoint, given.settings, data, first});
    adapter.values = values;
    given.settings.run_folder = given.folder.path() / ("loaded" + std::to_string(i));
    const auto result = methods[i]({loaded.checkpoint(), given.settings, data, second, &loaded});
    CHECK(same_numbers(result, own));
    CHECK(second.losses == first.losses);
    CHECK(result.trainable == own.trainable);
    CHECK(train::stream_of(loaded, ids, last) == before);
  }
}

TEST_CASE("an observer may ask the loaded model while a run trains with it") {
  struct Asking final : Stopper {
    explicit Asking(const train::LoadedModel& loaded) : Stopper(SIZE_MAX), model(loaded) {}
    void step(const train::StepMetrics& m, std::uint64_t total) override {
      Stopper::step(m, total);
      streams.push_back(train::stream_of(model, std::vector<std::int32_t>{1, 2}, 3));
      threads.push_back(at::get_num_threads());
    }
    const train::LoadedModel& model;
    std::vector<std::vector<float>> streams;
    std::vector<int> threads;  // that the run goes on with
  };
  Given given("llama");
  given.settings.steps = 3;
  given.settings.machine.threads = 2;
  const train::LoadedModel loaded =
      train::LoadedModel::load(format::Checkpoint::open(given.checkpoint.folder()),
                               given.settings.precision, {.threads = 1});
  const train::RunData data = given.read();
  Stopper silent(SIZE_MAX);
  const auto expected = given.run(data, silent, "silent", &loaded);
  Asking asking(loaded);
  const auto before = train::stream_of(loaded, std::vector<std::int32_t>{1, 2}, 3);
  CHECK(same_numbers(given.run(data, asking, "asking", &loaded), expected));
  CHECK(asking.streams == std::vector<std::vector<float>>(3, before));
  CHECK(asking.threads == std::vector<int>(3, 2));
}

TEST_CASE("a model that was loaded for another run is refused") {
  Given given("llama");
  const train::RunData data = given.read();
  const train::LoadedModel loaded =
      train::LoadedModel::load(format::Checkpoint::open(given.checkpoint.folder()));
  const auto refused = [&](const format::Checkpoint& checkpoint) {
    Stopper observer(SIZE_MAX);
    return error_of([&] {
      (void)train::train_layers({checkpoint, given.settings, data, observer, &loaded});
    });
  };
  CHECK(refused(given.checkpoint).starts_with("invalid_argument: loaded model: its checkpoint"));
  CHECK(refused(loaded.checkpoint()) ==
        "invalid_argument: loaded model: precision is fp32, expected bf16, which is recorded of "
        "the run");
  given.settings.precision = train::Precision::fp32;
  given.settings.machine.device = {train::Device::Kind::cuda, 1};
  CHECK(refused(loaded.checkpoint()) ==
        "invalid_argument: loaded model: device is cpu, expected cuda:1, where the run is");
  given.settings.machine = {};
  CHECK(refused(loaded.checkpoint()) == "no error");
}

}  // namespace organ::test
