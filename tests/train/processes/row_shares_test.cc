// SPDX-License-Identifier: Apache-2.0
#include "train/processes/row_shares.h"

#include <algorithm>
#include <numeric>
#include <set>

#include <doctest/doctest.h>

#include "train/trainer/batch_order.h"

namespace organ::train {

TEST_CASE("one process computes all rows in their order") {
  const std::vector<std::int64_t> windows = {5, 0, 3, 3, 8};
  CHECK(rows_of_process(windows, 0, 1) == std::vector<std::size_t>{0, 1, 2, 3, 4});
}

TEST_CASE("every row is one process's, and all have equally many to within one") {
  for (const int size : {1, 2, 3, 5, 8}) {
    for (std::int64_t rows = size; rows < 20; ++rows) {
      BatchOrder order(7, 11);
      for (std::uint64_t step = 0; step < 9; ++step) {
        const auto windows = order.step(step, rows);
        std::vector<std::size_t> all;
        for (int rank = 0; rank < size; ++rank) {
          const auto own = rows_of_process(windows, rank, size);
          CHECK(std::is_sorted(own.begin(), own.end()));
          CHECK(own.size() >= static_cast<std::size_t>(rows / size));
          CHECK(own.size() <= static_cast<std::size_t>((rows + size - 1) / size));
          all.insert(all.end(), own.begin(), own.end());
        }
        std::sort(all.begin(), all.end());
        std::vector<std::size_t> expected(static_cast<std::size_t>(rows));
        std::iota(expected.begin(), expected.end(), 0);
        CHECK(all == expected);
      }
    }
  }
}

TEST_CASE("a window comes back to the process that has it") {
  constexpr int kSize = 4;
  constexpr std::int64_t kWindows = 256, kRows = 64, kEpochs = 4;
  BatchOrder order(1, kWindows);
  std::set<std::pair<int, std::int64_t>> kept;
  for (std::uint64_t step = 0; step < kWindows * kEpochs / kRows; ++step) {
    const auto windows = order.step(step, kRows);
    for (int rank = 0; rank < kSize; ++rank) {
      for (const std::size_t row : rows_of_process(windows, rank, kSize)) {
        kept.insert({rank, windows[row]});
      }
    }
  }
  // Drawn without regard to the number it would be 2.7 times as many.
  CHECK(kept.size() < kWindows * 3 / 2);
}

}  // namespace organ::train
