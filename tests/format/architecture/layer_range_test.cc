// SPDX-License-Identifier: Apache-2.0
#include "format/architecture/layer_range.h"

#include <doctest/doctest.h>

#include "tests/support/support.h"

namespace organ::test {

using format::LayerRange;

TEST_CASE("a range of layers is half open and inside the model") {
  const LayerRange range = LayerRange::parse("10:13", 30);
  CHECK(range.first == 10);
  CHECK(range.count == 3);
  CHECK(LayerRange::parse("0:30", 30).count == 30);
  for (const char* wrong : {"", ":", "3", "3:", ":3", "3:3", "4:3", "0:31", "-1:3", "1:2:3", "a:b",
                            " 1:2", "1:18446744073709551616"}) {
    CAPTURE(wrong);
    CHECK(error_of([&] { LayerRange::parse(wrong, 30); }).starts_with("invalid_argument"));
  }
}

TEST_CASE("the middle third begins after a third of the layers") {
  CHECK(LayerRange::middle_third(30).first == 10);
  CHECK(LayerRange::middle_third(12).first == 4);
  CHECK(LayerRange::middle_third(3).first == 0);  // 1 would leave the model
  CHECK(LayerRange::middle_third(4).count == 3);
  CHECK(error_of([] { LayerRange::middle_third(2); }).starts_with("invalid_argument"));
}

}  // namespace organ::test
