// SPDX-License-Identifier: Apache-2.0
#include "train/trainer/batch_order.h"

#include <numeric>
#include <utility>

#include "format/base/random.h"

namespace organ::train {
std::vector<std::int64_t> epoch_order(std::uint64_t seed, std::uint64_t epoch,
                                      std::int64_t windows) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(windows));
  std::iota(order.begin(), order.end(), 0);
  SplitMix64 mixer(seed);
  SplitMix64 random(mixer.next() ^ SplitMix64(epoch).next());
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

std::vector<std::int64_t> BatchOrder::step(std::uint64_t step, std::int64_t rows) {
  std::vector<std::int64_t> batch;
  const auto windows = static_cast<std::uint64_t>(windows_);
  const std::uint64_t first = step * static_cast<std::uint64_t>(rows);
  for (std::uint64_t sample = first; batch.size() < static_cast<std::size_t>(rows); ++sample) {
    const std::uint64_t epoch = sample / windows;
    if (epoch_ != epoch) {
      order_ = epoch_order(seed_, epoch, windows_);
      epoch_ = epoch;
    }
    batch.push_back(order_[sample % windows]);
  }
  return batch;
}

std::vector<std::uint64_t> BatchOrder::epochs(std::uint64_t step, std::int64_t rows) const {
  std::vector<std::uint64_t> epochs(static_cast<std::size_t>(rows));
  if (draw_ == TaskDraw::once) return epochs;
  const std::uint64_t first = step * epochs.size();
  for (std::size_t i = 0; i < epochs.size(); ++i) {
    epochs[i] = (first + i) / static_cast<std::uint64_t>(windows_);
  }
  return epochs;
}

}  // namespace organ::train
