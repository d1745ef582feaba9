// SPDX-License-Identifier: Apache-2.0
#include "train/data/overlap.h"

#include <set>
#include <vector>

#include <doctest/doctest.h>

#include "format/base/random.h"
#include "tests/train/support/ids_file.h"

namespace organ::train {
namespace {

// Rows of few different ids that copy stretches of one another, so that sequences repeat.
std::vector<std::int64_t> made_ids(std::uint64_t seed, std::size_t rows, std::size_t length) {
  SplitMix64 random(seed);
  SplitMix64 common(1);
  std::vector<std::int64_t> phrase(200);
  for (auto& id : phrase) id = static_cast<std::int64_t>(common.below(50));
  std::vector<std::int64_t> ids;
  while (ids.size() < rows * length) {
    const std::size_t start = random.below(150), size = 5 + random.below(40);
    ids.insert(
        ids.end(), phrase.begin() + static_cast<std::ptrdiff_t>(start),
        phrase.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(200, start + size)));
    ids.push_back(static_cast<std::int64_t>(random.below(50)));
  }
  ids.resize(rows * length);
  return ids;
}

using Grams = std::vector<std::vector<std::int64_t>>;

Grams grams_of(const std::vector<std::int64_t>& ids, std::size_t length) {
  Grams grams;
  for (std::size_t row = 0; row < ids.size(); row += length) {
    for (std::size_t i = row; i + kOverlapGram <= row + length; ++i) {
      grams.emplace_back(ids.begin() + static_cast<std::ptrdiff_t>(i),
                         ids.begin() + static_cast<std::ptrdiff_t>(i + kOverlapGram));
    }
  }
  return grams;
}

}  // namespace

TEST_CASE("the overlap is what sets of sequences give") {
  constexpr std::size_t kLength = 40;
  const auto first = made_ids(2, 20, kLength), second = made_ids(3, 10, kLength),
             test_ids = made_ids(4, 30, kLength);
  const auto held_out = test::dataset_of(test_ids, kLength, 50);
  OverlapCounter counter(held_out.stream());
  std::set<std::vector<std::int64_t>> known;
  for (const auto* training : {&first, &second}) {
    counter.add(test::dataset_of(*training, kLength, 50).stream());
    for (auto& gram : grams_of(*training, kLength)) known.insert(std::move(gram));
    const Grams grams = grams_of(test_ids, kLength);
    const auto found = static_cast<std::uint64_t>(std::count_if(
        grams.begin(), grams.end(), [&](const auto& gram) { return known.contains(gram); }));
    CHECK(counter.grams() == grams.size());
    CHECK(counter.found() == found);
    CHECK(found > 0);
    CHECK(found < grams.size());
  }
}

TEST_CASE("a text overlaps itself and nothing that is shorter than a sequence") {
  const auto ids = made_ids(5, 2, 30);
  const auto data = test::dataset_of(ids, 30, 50);
  CHECK(overlap_share(data.stream(), data.stream()) == 1);
  const auto short_rows = test::dataset_of(ids, 12, 50);
  CHECK(overlap_share(data.stream(), short_rows.stream()) == 0);
  CHECK(overlap_share(short_rows.stream(), data.stream()) == 0);
}

}  // namespace organ::train
