// SPDX-License-Identifier: Apache-2.0
#include "train/trainer/trainer.h"

#include "tests/train/support/doctest.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/error.h"
#include "tests/support/support.h"
#include "tests/train/support/fixture.h"
#include "tests/train/support/run_texts.h"

namespace organ::test {
namespace {

constexpr std::uint64_t kSteps = 4;

// Wants an end from the `stop_after`th question on.
class Stopper final : public train::TrainObserver {
 public:
  explicit Stopper(std::size_t stop_after) : stop_after_(stop_after) {}

  void note(std::string_view) override {}
  void warn(std::string_view) override {}
  void step(const train::StepMetrics& m, std::uint64_t) override { losses.push_back(m.loss); }
  void evaluation(const train::EvaluationMetrics&) override {}
  bool stop_requested() const override { return ++questions > stop_after_; }

  std::vector<double> losses;
  mutable std::size_t questions = 0;

 private:
  std::size_t stop_after_;
};

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

bool same_numbers(const train::TrainResult& a, const train::TrainResult& b) {
  if (a.tensors.size() != b.tensors.size()) return false;
  for (std::size_t i = 0; i < a.tensors.size(); ++i) {
    if (!std::ranges::equal(a.tensors[i].values, b.tensors[i].values)) return false;
  }
  return true;
}

}  // namespace

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
