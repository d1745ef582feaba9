// SPDX-License-Identifier: Apache-2.0
// The mark of padding that counts as text: rows that end in one id again and again.
#pragma once

#include <cstdint>
#include <span>

#include "train/probes/model_probes.h"

namespace organ::train {

class TrailingRuns {
 public:
  // The ids of one row that are predicted, in order.
  template <typename Id>
  void add(std::span<const Id> row) {
    std::size_t run = 0;
    while (run < row.size() && row[row.size() - 1 - run] == row.back()) ++run;
    // Shorter runs occur in text: a line of dashes, blank lines at the end of a file.
    constexpr std::size_t kRun = 8;
    if (run >= kRun) repeated_ += run;
    all_ += row.size();
  }
  ProbeFinding finding() const;

 private:
  std::uint64_t repeated_ = 0, all_ = 0;
};

}  // namespace organ::train
