// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/support.h"
#include "train/baselines/baselines.h"
#include "train/baselines/report.h"

namespace organ::train {

TEST_CASE("the layers of largest magnitude, in the model's order") {
  const std::vector<double> magnitudes = {0.5, 2, 0.25, 2, 1};
  CHECK(top_layers(magnitudes, 1) == std::vector<std::uint64_t>{1});
  CHECK(top_layers(magnitudes, 3) == std::vector<std::uint64_t>{1, 3, 4});
  CHECK(top_layers(magnitudes, 5) == std::vector<std::uint64_t>{0, 1, 2, 3, 4});
  CHECK(test::error_of([&] {
          top_layers(magnitudes, 0);
        }).starts_with("invalid_argument: --count: 0 is out of range, expected 1 to 5"));
  CHECK(
      test::error_of([&] { top_layers(magnitudes, 6); }).starts_with("invalid_argument: --count"));
}

TEST_CASE("the elements of largest magnitude, of equal ones the first") {
  const std::vector<float> gradient = {0.5f, -2, 0.25f, 2, 0.5f, -0.5f};
  CHECK(top_elements(gradient, 2) == std::vector<bool>{false, true, false, true, false, false});
  CHECK(top_elements(gradient, 4) == std::vector<bool>{true, true, false, true, true, false});
  CHECK(top_elements(gradient, 6) == std::vector<bool>(6, true));
  CHECK(top_elements(std::vector<float>(3), 2) == std::vector<bool>{true, true, false});
}

TEST_CASE("a share of some elements") {
  CHECK(elements_in(0.1, 1000) == 100);
  CHECK(elements_in(1e-9, 1000) == 1);
  CHECK(elements_in(1, 7) == 7);
  for (const double share : {0.0, -0.5, 1.5, std::nan("")}) {
    CHECK(test::error_of([&] { elements_in(share, 9); }).starts_with("invalid_argument: --share"));
  }
}

}  // namespace organ::train
