// SPDX-License-Identifier: Apache-2.0
// A training run on letters that asks for little, and who watches it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "format/base/file.h"
#include "tests/support/support.h"
#include "tests/train/support/run_texts.h"
#include "train/data/run_data.h"
#include "train/trainer/trainer.h"

namespace organ::test {

// Wants an end from the `stop_after`th question on.
class Stopper : public train::TrainObserver {
 public:
  explicit Stopper(std::size_t stop_after) : stop_after_(stop_after) {}

  void note(std::string_view) override {}
  void warn(std::string_view) override {}
  void step(const train::StepMetrics& m, std::uint64_t) override { losses.push_back(m.loss); }
  void evaluation(const train::EvaluationMetrics& m) override { held_out.push_back(m.nll); }
  void measuring(std::int64_t done, std::int64_t total) override {
    measured.emplace_back(done, total);
  }
  bool stop_requested() const override { return ++questions > stop_after_; }

  // From now on it wants none.
  Stopper& never() {
    stop_after_ = SIZE_MAX;
    return *this;
  }

  std::vector<double> losses, held_out;
  std::vector<std::pair<std::int64_t, std::int64_t>> measured;  // windows done, of so many
  mutable std::size_t questions = 0;

 private:
  std::size_t stop_after_;
};

inline bool same_numbers(const train::TrainResult& a, const train::TrainResult& b) {
  if (a.tensors.size() != b.tensors.size()) return false;
  for (std::size_t i = 0; i < a.tensors.size(); ++i) {
    if (!std::ranges::equal(a.tensors[i].values, b.tensors[i].values)) return false;
  }
  return true;
}

// What a run is given: data read one way, settings that say so.
struct Given {
  explicit Given(const std::string& model) : checkpoint(letter_model(folder.path(), model)) {
    options.training.texts = {write("a.txt", text), write("c.txt", text + "cab")};
    options.held_out.texts = {write("b.txt", "ijklmnop" + text)};
    options.context = 32;
    options.seed = 3;
    settings.layers = {0, 1};
    settings.context = 32;
    settings.batch = 1;
    settings.steps = 1;
    settings.seed = 3;
    settings.run_folder = folder.path() / "run";
  }

  std::filesystem::path write(const std::string& name, const std::string& words) const {
    write_file(folder.path() / name, words);
    return folder.path() / name;
  }
  train::TrainResult run(const train::RunData& data, train::TrainObserver& observer,
                         const std::string& run_folder,
                         const train::LoadedModel* loaded = nullptr) {
    settings.run_folder = folder.path() / run_folder;
    const format::Checkpoint& own = loaded != nullptr ? loaded->checkpoint() : checkpoint;
    return train::train_layers({own, settings, data, observer, loaded});
  }
  train::RunData read() const { return train::read_run_data(checkpoint, options); }
  std::string error(const train::RunData& data) const {
    Stopper observer(SIZE_MAX);
    return error_of([&] { (void)train::train_layers({checkpoint, settings, data, observer}); });
  }

  const std::string text = "abcdefghijklmnopqrstuvwxhgfedcbaponmlkji";
  TempFolder folder = scratch();
  format::Checkpoint checkpoint;
  train::RunDataOptions options;
  train::TrainSettings settings;
};

}  // namespace organ::test
