// SPDX-License-Identifier: Apache-2.0
#include "train/data/masking.h"

#include <algorithm>
#include <map>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/support/support.h"
#include "train/data/dataset.h"

namespace organ::train {
namespace {

constexpr std::size_t kTokens = 200'000;
const MaskDraw kDraw{7, 3, 1000, {0, 1, 2, 3}};

struct Window {
  explicit Window(std::size_t tokens) : ids(tokens), targets(tokens), first_key(tokens) {
    for (std::size_t i = 0; i < tokens; ++i) ids[i] = static_cast<std::int64_t>(i * 37 % 1000);
  }
  WindowArrays arrays() { return {ids, targets, first_key}; }
  std::vector<std::int64_t> ids, targets;
  std::vector<std::int32_t> first_key;
};

TEST_CASE("15 % of the tokens are hidden: 80 % masked, 10 % replaced, 10 % as they were") {
  const Window text(kTokens);
  Window window(kTokens);
  hide_tokens(kDraw, 0, kTokens, window.arrays());
  double chosen = 0, masked = 0, kept = 0;
  std::map<std::int64_t, int> replaced;
  for (std::size_t i = 0; i < kTokens; ++i) {
    if (window.targets[i] < 0) {
      CHECK(window.ids[i] == text.ids[i]);
      continue;
    }
    CHECK(window.targets[i] == text.ids[i]);
    CHECK(window.targets[i] > 3);  // never a special token
    ++chosen;
    if (window.ids[i] == 3) ++masked;
    if (window.ids[i] == text.ids[i]) ++kept;
    if (window.ids[i] != 3 && window.ids[i] != text.ids[i]) ++replaced[window.ids[i]];
  }
  // Five standard deviations.
  CHECK(chosen / (kTokens * 0.996) == doctest::Approx(0.15).epsilon(0.03));
  CHECK(masked / chosen == doctest::Approx(0.8).epsilon(0.015));
  CHECK(kept / chosen == doctest::Approx(0.1).epsilon(0.1));
  CHECK(replaced.size() > 800);  // of 996: all over the vocabulary
  CHECK(replaced.begin()->first > 3);
}

TEST_CASE("the draw depends on seed, start and place alone") {
  Window whole(512), part(512), other(512);
  hide_tokens(kDraw, 1024, 512, whole.arrays());
  hide_tokens(kDraw, 1024, 100, part.arrays());
  CHECK(std::equal(part.ids.begin(), part.ids.begin() + 100, whole.ids.begin()));
  CHECK(std::equal(part.targets.begin(), part.targets.begin() + 100, whole.targets.begin()));
  CHECK(std::all_of(part.targets.begin() + 100, part.targets.end(),
                    [](std::int64_t id) { return id == -1; }));
  hide_tokens(kDraw, 1536, 512, other.arrays());
  CHECK(other.targets != whole.targets);
  Window reseeded(512);
  MaskDraw draw = kDraw;
  draw.seed = 8;
  hide_tokens(draw, 1024, 512, reseeded.arrays());
  CHECK(reseeded.targets != whole.targets);
}

}  // namespace
}  // namespace organ::train
