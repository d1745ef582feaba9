// SPDX-License-Identifier: Apache-2.0
#include "train/data/packing.h"

#include <algorithm>
#include <numeric>
#include <random>

#include <doctest/doctest.h>

namespace organ::train {
namespace {

struct Stream {
  std::vector<std::int64_t> starts;
  std::int64_t tokens = 0;
};

Stream stream_of(const std::vector<std::int64_t>& lengths) {
  Stream stream;
  for (const std::int64_t length : lengths) {
    stream.starts.push_back(stream.tokens);
    stream.tokens += length;
  }
  return stream;
}

std::vector<std::vector<std::int64_t>> lengths_by_window(const PackedWindows& packed) {
  std::vector<std::vector<std::int64_t>> windows;
  for (std::int64_t w = 0; w < packed.count(); ++w) {
    windows.emplace_back();
    for (const Piece& piece : packed.window(w)) windows.back().push_back(piece.length);
  }
  return windows;
}

// The definition, a window at a time.
std::vector<std::vector<std::int64_t>> plain_first_fit(std::vector<std::int64_t> lengths,
                                                       std::int64_t context) {
  std::sort(lengths.rbegin(), lengths.rend());
  std::vector<std::vector<std::int64_t>> windows;
  for (const std::int64_t length : lengths) {
    const auto fits = [&](const auto& window) {
      return std::accumulate(window.begin(), window.end(), length) <= context;
    };
    auto chosen = std::find_if(windows.begin(), windows.end(), fits);
    if (chosen == windows.end()) chosen = windows.emplace(windows.end());
    chosen->push_back(length);
  }
  return windows;
}

}  // namespace

TEST_CASE("documents go longest first into the first window with room") {
  const Stream stream = stream_of({3, 6, 4, 2, 5});
  const auto packed = pack_first_fit_decreasing(stream.starts, stream.tokens, 8);
  CHECK(lengths_by_window(packed) == std::vector<std::vector<std::int64_t>>{{6, 2}, {5, 3}, {4}});
  CHECK(packed.window(0)[1].start == 13);
}

TEST_CASE("documents longer than a window are cut, single tokens left out") {
  const Stream stream = stream_of({9, 1, 17});
  const auto packed = pack_first_fit_decreasing(stream.starts, stream.tokens, 8);
  CHECK(lengths_by_window(packed) == std::vector<std::vector<std::int64_t>>{{8}, {8}, {8}});
  CHECK(packed.window(0)[0].start == 0);
  CHECK(packed.window(1)[0].start == 10);
  CHECK(packed.window(2)[0].start == 18);
  CHECK(pack_first_fit_decreasing({}, 0, 8).count() == 0);
}

TEST_CASE("random documents are packed as the definition says, every token once") {
  std::mt19937 random(1);
  for (int round = 0; round < 20; ++round) {
    std::vector<std::int64_t> lengths(1 + random() % 300);
    for (auto& length : lengths) length = 2 + static_cast<std::int64_t>(random() % 63);
    const Stream stream = stream_of(lengths);
    const auto packed = pack_first_fit_decreasing(stream.starts, stream.tokens, 64);
    CHECK(lengths_by_window(packed) == plain_first_fit(lengths, 64));
    std::vector<std::int64_t> starts;
    for (const Piece& piece : packed.pieces) starts.push_back(piece.start);
    std::sort(starts.begin(), starts.end());
    CHECK(starts == stream.starts);
  }
}

TEST_CASE("packing names are read back and others refused") {
  for (const auto kind : {Packing::concat, Packing::ffd}) {
    CHECK(parse_packing(to_string(kind)) == kind);
  }
  CHECK_FALSE(parse_packing("FFD"));
}

}  // namespace organ::train
