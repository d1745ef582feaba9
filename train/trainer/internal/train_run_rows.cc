// SPDX-License-Identifier: Apache-2.0
// The rows of a step: which are this process's, whose draw they are, how many run at once.
#include <algorithm>

#include "train/passes/batches.h"
#include "train/trainer/internal/train_run.h"

namespace organ::train {
namespace {

// On a CPU the matrix products are at full speed from about a thousand tokens on; more at once
// only leave the caches and cost memory.
constexpr std::int64_t kTokensAtOnce = 1024;

std::int64_t rows_at_once(const TrainSettings& settings, at::Device device) {
  if (!device.is_cpu()) return settings.batch;
  return std::clamp<std::int64_t>(kTokensAtOnce / settings.context, 1, settings.batch);
}

std::int64_t targets_in(const Batch& batch) {
  const auto* targets = batch.targets.const_data_ptr<std::int64_t>();
  return std::count_if(targets, targets + batch.tokens(), [](std::int64_t id) { return id >= 0; });
}

}  // namespace

// What this process computes of a step.
TrainRun::Share TrainRun::own_share(std::size_t rows) const {
  const auto rank = static_cast<std::size_t>(group_.rank());
  const auto size = static_cast<std::size_t>(group_.size());
  const std::size_t begin = rows * rank / size;
  return {begin, rows * (rank + 1) / size - begin};
}

// Of each row of the step: whose draw it is.
std::vector<std::uint64_t> TrainRun::draw_epochs() const {
  const auto rows = settings_.rows_per_step();
  if (settings_.draw == TaskDraw::once) {
    return std::vector<std::uint64_t>(static_cast<std::size_t>(rows));
  }
  return order_.epochs(record_.step, rows);
}

// Every row of a step is built here and nowhere else.
std::vector<TrainRun::Pass> TrainRun::make_passes(std::span<const std::int64_t> windows,
                                                  std::span<const std::uint64_t> epochs) const {
  std::vector<Pass> passes;
  const Share own = own_share(windows.size());
  const std::size_t end = own.begin + own.count;
  const auto rows = static_cast<std::size_t>(rows_at_once(settings_, model_.device()));
  for (std::size_t at = own.begin; at < end; at += rows) {
    const std::size_t count = std::min(rows, end - at);
    const auto some = windows.subspan(at, count);
    passes.push_back({some, make_batch(data_, some, epochs.subspan(at, count))});
  }
  return passes;
}

// Of a step over all processes; `own` is this one's share of its windows.
std::int64_t TrainRun::targets_of(std::span<const std::int64_t> windows,
                                  std::span<const std::uint64_t> epochs,
                                  const std::vector<Pass>& own) const {
  std::int64_t targets = 0;
  for (const Pass& pass : own) targets += targets_in(pass.batch);
  const Share share = own_share(windows.size());
  for (std::size_t row = 0; row < windows.size(); ++row) {
    if (row >= share.begin && row < share.begin + share.count) continue;
    targets += data_.targets_in(windows[row], epochs[row]);
  }
  return targets;
}

}  // namespace organ::train
