// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "tests/support/support.h"
#include "train/baseline.h"

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

}  // namespace organ::train
