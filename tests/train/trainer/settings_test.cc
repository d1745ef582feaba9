// SPDX-License-Identifier: Apache-2.0
#include "train/trainer/settings.h"

#include <cmath>
#include <limits>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "format/base/file.h"
#include "format/base/json.h"
#include "tests/support/support.h"
#include "tests/train/support/ids_file.h"
#include "tests/train/support/letter_tokenizer.h"
#include "train/tokenizer/tokenizer.h"

namespace organ::train {

TEST_CASE("settings are the wishes with what the data decides") {
  std::vector<std::int64_t> ids(70, 5);
  const Dataset data = test::dataset_of(ids, 10, 29);  // 7 windows
  TrainSettings wishes;
  wishes.batch = 2;
  wishes.context = 512;
  wishes.steps = 99;
  const TrainSettings settings = complete_settings(wishes, {}, data);
  CHECK(settings.context == 10);
  CHECK(settings.steps == 11);  // 3 epochs of 7 windows, 2 a step
  CHECK(settings.batch == 2);
  CHECK(complete_settings(wishes, {.epochs = 0.1}, data).steps == 1);
  CHECK(complete_settings(wishes, {.steps = 4}, data).steps == 4);
}

TEST_CASE("wishes are refused before any data is read, but for the steps that it decides") {
  TrainSettings wishes;  // 0 steps
  check_wishes(wishes, {});
  CHECK(
      test::error_of([&] { check_settings(wishes); }).starts_with("invalid_argument: --steps: 0"));
  CHECK(test::error_of([&] { check_wishes(wishes, {.steps = 0}); }).find("--steps: 0 is out") !=
        std::string::npos);
  CHECK(test::error_of([&] { check_wishes(wishes, {.epochs = -1}); }).find("--epochs: -1") !=
        std::string::npos);
  wishes.rate = 0;
  CHECK(test::error_of([&] { check_wishes(wishes, {}); }).find("--lr: 0 is out") !=
        std::string::npos);
}

TEST_CASE("settings that leave no finite weights, or that mean nothing, are refused") {
  TrainSettings sound;
  sound.steps = 1;
  sound.run_folder = "run";
  check_settings(sound);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto refused = [&](std::string_view words, const auto& change) {
    TrainSettings settings = sound;
    change(settings);
    const std::string said = test::error_of([&] { check_settings(settings); });
    CHECK_MESSAGE(said.starts_with("invalid_argument: "), said);
    CHECK_MESSAGE(said.find(words) != std::string::npos, said);
  };
  // 1 in single precision.
  for (const double value : {1.0, -1.0, 2.0, nan, std::nextafter(1.0, 0.0)}) {
    refused("beta1", [&](TrainSettings& s) { s.adamw.beta1 = value; });
    refused("beta2", [&](TrainSettings& s) { s.adamw.beta2 = value; });
  }
  for (const double value : {0.0, -1.0, nan}) {
    refused("epsilon", [&](TrainSettings& s) { s.adamw.epsilon = value; });
  }
  refused("is 0 in single precision", [](TrainSettings& s) { s.rate = 1e-46; });
  refused("is 0 in single precision", [](TrainSettings& s) { s.adamw.weight_decay = 1e-50; });
  refused("--lr: -1e-50 is out of range", [](TrainSettings& s) { s.rate = -1e-50; });
  TrainSettings small = sound;
  small.warmup_share = 1e-50;  // of the steps, in double precision
  check_settings(small);
  CHECK(test::error_of([&] {
          check_wishes(sound, {.epochs = 1e7});
        }).starts_with("invalid_argument: --epochs: 10000000 is out of range"));
  refused("run folder", [](TrainSettings& s) { s.run_folder.clear(); });
  refused("method", [](TrainSettings& s) { s.method = "{not json"; });
}

TEST_CASE("what is recorded says what stood around each document") {
  const TempFolder folder = test::scratch();
  write_file(folder.path() / "a.txt", "abcd");
  const auto tokenizer = Tokenizer::open(test::write_letter_tokenizer(folder.path()));
  const auto fields = [&](const TextOptions& texts) {
    const Dataset data = Dataset::from_texts({folder.path() / "a.txt"}, tokenizer, 29,
                                             {.context = 8, .texts = texts});
    return json_of(hyperparameters({}, data));
  };
  const Json around = fields({.end_of_sequence = true, .lead_in = {24, 25}});
  CHECK(around["lead_in"] == Json({24, 25}));
  CHECK(around["end_of_sequence"] == 28);
  CHECK(fields({})["lead_in"] == Json::array());
  CHECK(fields({})["end_of_sequence"] == nullptr);
  CHECK(fields({})["document_split"] == "file");
  CHECK(fields({.split = DocumentSplit::blank_lines})["document_split"] == "blank-lines");
  const std::vector<std::int64_t> ids(20, 5);
  const Json rows = json_of(hyperparameters({}, test::dataset_of(ids, 10, 29)));
  CHECK(rows["lead_in"] == nullptr);
  CHECK(rows["document_split"] == nullptr);
  CHECK(rows["padding_id"] == nullptr);
}

TEST_CASE("what chooses the published weights is recorded where something does") {
  const std::vector<std::int64_t> ids(20, 5);
  const Dataset data = test::dataset_of(ids, 10, 29);
  TrainSettings settings;
  settings.evaluate_every = 3;
  CHECK_FALSE(json_of(hyperparameters(settings, data)).contains("evaluate_every"));
  settings.patience = 2;
  const Json chosen = json_of(hyperparameters(settings, data));
  CHECK(chosen["patience"] == 2);
  CHECK(chosen["evaluate_every"] == 3);
}

}  // namespace organ::train
