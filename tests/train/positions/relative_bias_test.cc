// SPDX-License-Identifier: Apache-2.0
#include "tests/train/support/doctest.h"

#include <ATen/ATen.h>

#include "train/positions/relative_bias.h"

namespace organ::train {

// As transformers 5.23 counts them (T5Attention._relative_position_bucket).
TEST_CASE("distances fall into T5's buckets") {
  const RelativeScheme encoder{32, 128, true}, decoder{32, 128, false};
  const auto both = [&](std::int64_t distance) {
    return std::pair(relative_bucket(encoder, distance), relative_bucket(decoder, distance));
  };
  CHECK(both(0) == std::pair<std::int64_t, std::int64_t>(0, 0));
  CHECK(both(-7) == std::pair<std::int64_t, std::int64_t>(7, 7));
  CHECK(both(7) == std::pair<std::int64_t, std::int64_t>(23, 0));
  CHECK(both(-8) == std::pair<std::int64_t, std::int64_t>(8, 8));
  CHECK(both(-16) == std::pair<std::int64_t, std::int64_t>(10, 16));
  CHECK(both(-32) == std::pair<std::int64_t, std::int64_t>(12, 21));
  CHECK(both(64) == std::pair<std::int64_t, std::int64_t>(30, 0));
  CHECK(both(-127) == std::pair<std::int64_t, std::int64_t>(15, 31));
  CHECK(both(-100000) == std::pair<std::int64_t, std::int64_t>(15, 31));
}

TEST_CASE("a bias is the table's row of its distance, whatever the length") {
  const RelativeScheme scheme{4, 6, true};
  const at::Tensor table = at::arange(8, at::kFloat).view({4, 2});
  RelativeBias bias(scheme, table, at::kCPU);
  for (const std::int64_t length : {3, 9, 5}) {
    bias.prepare(length);
    const std::int64_t zero = bias.values().size(1) / 2;
    CHECK(zero >= length - 1);
    for (std::int64_t distance = 1 - length; distance < length; ++distance) {
      const at::Tensor row = table[relative_bucket(scheme, distance)];
      CHECK(bias.values().select(1, zero + distance).equal(row));
    }
  }
}

}  // namespace organ::train
