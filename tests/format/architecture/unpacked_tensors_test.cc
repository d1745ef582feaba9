// SPDX-License-Identifier: Apache-2.0
#include "format/architecture/unpacked_tensors.h"

#include <doctest/doctest.h>

namespace organ::test {

using namespace format;

TEST_CASE("unpacked tensors are what transformers loads") {
  const auto tensors = unpacked_tensors({{"mlp.experts.down_proj_bias", {4, 64}},
                                         {"mlp.experts.down_proj_blocks", {4, 64, 3, 16}},
                                         {"mlp.experts.down_proj_scales", {4, 64, 3}},
                                         {"mlp.router.bias", {4}}});
  REQUIRE(tensors.size() == 3);
  CHECK(tensors[0].name == "mlp.experts.down_proj");
  CHECK(tensors[0].shape == Shape{4, 96, 64});
  CHECK(tensors[1].name == "mlp.experts.down_proj_bias");
  CHECK(tensors[2].name == "mlp.router.bias");
}

}  // namespace organ::test
