// SPDX-License-Identifier: Apache-2.0
// The mark of padding that counts as text: rows that end in one id again and again.
#pragma once

#include <cstdint>
#include <map>
#include <span>

#include "train/probes/model_probes.h"

namespace organ::train {

// Counts rows as they are added; holds a few numbers for each id that ends one. Not thread-safe.
class TrailingRuns {
 public:
  // The ids of one row that are predicted, in order.
  // A run of 8 or more at its end is counted under its id; an empty row is none.
  template <typename Id>
  void add(std::span<const Id> row) {
    if (row.empty()) return;
    std::size_t run = 0;
    while (run < row.size() && row[row.size() - 1 - run] == row.back()) ++run;
    End& end = ends_[static_cast<std::int64_t>(row.back())];
    ++end.rows;
    ++rows_;
    // Shorter runs occur in every text: blank lines at the end of a file.
    constexpr std::size_t kRun = 8;
    if (run >= kRun) end.repeated += run;
    all_ += row.size();
  }
  // A line of dashes, a table or a genome end in runs too. What fills rows up is an id of `padding`
  // or one that ends more than half of several rows; only such runs count.
  // The finding `padding`: their share of all ids added, 5 % at most; of none 0. It fails as
  // invalid_argument.
  ProbeFinding finding(PaddingIds padding) const;

 private:
  struct End {
    std::uint64_t rows = 0, repeated = 0;
  };
  std::map<std::int64_t, End> ends_;  // by the id
  std::uint64_t rows_ = 0, all_ = 0;
};

}  // namespace organ::train
