// SPDX-License-Identifier: Apache-2.0
// The order in which training visits the windows of a data set.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "train/data/task.h"

namespace organ::train {

// The order in which an epoch visits the windows: a permutation that depends on (seed, epoch) and
// the number of windows only (Fisher-Yates over SplitMix64). So a resumed run visits what the
// straight one would have.
std::vector<std::int64_t> epoch_order(std::uint64_t seed, std::uint64_t epoch,
                                      std::int64_t windows);

// The windows of one step: numbers [step * rows, (step + 1) * rows) of the endless sequence of
// epochs. Not thread-safe: remembers the last epoch's order.
class BatchOrder {
 public:
  // `windows`: of the data set, 1 or more; `draw`: whether hidden or dropped tokens are drawn anew
  // in each epoch.
  BatchOrder(std::uint64_t seed, std::int64_t windows, TaskDraw draw = TaskDraw::each_epoch)
      : seed_(seed), windows_(windows), draw_(draw) {}
  // `step` counts from 0. A step that goes over the end of an epoch goes on in the next one's
  // order.
  std::vector<std::int64_t> step(std::uint64_t step, std::int64_t rows);
  // Of each of them: the epoch whose draw it is, 0 of all where they are drawn once.
  std::vector<std::uint64_t> epochs(std::uint64_t step, std::int64_t rows) const;

 private:
  std::uint64_t seed_;
  std::int64_t windows_;
  TaskDraw draw_;
  std::optional<std::uint64_t> epoch_;
  std::vector<std::int64_t> order_;
};

}  // namespace organ::train
