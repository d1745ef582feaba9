// SPDX-License-Identifier: Apache-2.0
#include "format/architecture/layer_range.h"

#include <cstdint>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "format/architecture/architecture.h"
#include "tests/support/architectures.h"
#include "tests/support/model_configs.h"
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

TEST_CASE("layers outside the model are an argument error") {
  const auto model = architecture_of(model_config("SmolLM2-135M"));
  CHECK(error_of([&] { model.layer_fields(28, 3); }) ==
        "invalid_argument: 3 layers from layer 28: the model has 30 layers");
  CHECK(error_of([&] { model.layer_fields(0, 0); }).starts_with("invalid_argument"));
  CHECK(error_of([&] { model.layer_fields(1, UINT64_MAX); }).starts_with("invalid_argument"));
  CHECK(error_of([&] { model.attention_type(30); }).starts_with("invalid_argument"));
}

}  // namespace organ::test
