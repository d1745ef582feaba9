// SPDX-License-Identifier: Apache-2.0
#include "train/trainer/settings.h"

#include <doctest/doctest.h>

#include "tests/support/support.h"
#include "tests/train/support/ids_file.h"

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

}  // namespace organ::train
