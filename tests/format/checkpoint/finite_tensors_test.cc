// SPDX-License-Identifier: Apache-2.0
#include "format/checkpoint/finite_tensors.h"

#include <doctest/doctest.h>

#include "tests/support/damage.h"
#include "tests/support/support.h"
#include "tests/support/tiny_organ.h"

namespace organ::format {

TEST_CASE("the first tensor of a checkpoint that is not finite is named with the place") {
  const TempFolder folder = test::scratch();
  test::write_tiny_checkpoint(folder.path() / "model");
  const auto first = [&] {
    return first_not_finite_tensor(Checkpoint::open(folder.path() / "model"));
  };
  CHECK_FALSE(first().has_value());
  test::poke_bf16(folder.path() / "model" / kSingleShard, "model.embed_tokens.weight", 3 * 8 + 5,
                  test::kNanBf16);
  const auto found = first();
  REQUIRE(found.has_value());
  CHECK(found->subject == "model.safetensors: tensor 'model.embed_tokens.weight'");
  CHECK(found->message == "NaN or infinity at [3, 5]");
}

}  // namespace organ::format
