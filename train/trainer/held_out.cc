// SPDX-License-Identifier: Apache-2.0
#include "train/trainer/internal/held_out.h"

#include <algorithm>
#include <array>
#include <vector>

#include "train/passes/batches.h"

namespace organ::train {

HeldOut::HeldOut(Model& model, const Dataset& data, const LossPath& whole,
                 const PrefixOptions& below, std::int64_t batch, ProcessGroup& group)
    : data_(data),
      whole_(whole),
      streams_(model, data.windows(), below),
      embeddings_(model, data.windows(), {}),
      batch_(batch),
      group_(group) {}

HeldOutLoss HeldOut::loss(const BeforePass& before_pass) {
  HeldOutPart none;
  return measure(whole_, streams_, before_pass, none);
}

HeldOutLoss HeldOut::loss(const BeforePass& before_pass, HeldOutPart& part) {
  return measure(whole_, streams_, before_pass, part);
}

bool HeldOut::fits(const HeldOutPart& part) const {
  const auto windows = static_cast<std::uint64_t>(data_.windows());
  return part.windows <= windows && part.windows % static_cast<std::uint64_t>(batch_) == 0 &&
         part.targets ==
             static_cast<std::uint64_t>(targets_of(static_cast<std::int64_t>(part.windows)));
}

HeldOutLoss HeldOut::wrapper_loss(const LossPath& wrapper, const BeforePass& before_pass) {
  HeldOutPart none;
  return measure(wrapper, embeddings_, before_pass, none);
}

HeldOutLoss HeldOut::measure(const LossPath& path, PrefixCache& inputs,
                             const BeforePass& before_pass, HeldOutPart& part) {
  const auto done = static_cast<std::int64_t>(part.windows);
  std::vector<std::int64_t> windows;
  std::int64_t turn = 0;
  LossPath pass = path;
  for (std::int64_t first = 0; first < data_.windows(); first += batch_) {
    before_pass(first, data_.windows());
    if (turn++ % group_.size() != group_.rank() || first < done) continue;
    windows.clear();
    for (std::int64_t i = first; i < std::min(first + batch_, data_.windows()); ++i) {
      windows.push_back(i);
    }
    const Batch batch = make_batch(data_, windows);
    const LossSum sum = pass.loss(inputs.inputs(windows, batch), batch);
    part.nll += sum.nll;
    part.targets += static_cast<std::uint64_t>(sum.targets);
    part.windows = static_cast<std::uint64_t>(windows.back()) + 1;
  }
  std::array<double, 2> sums = {part.nll, static_cast<double>(part.targets)};
  group_.sum(sums);
  return {sums[0] / sums[1], static_cast<std::int64_t>(sums[1])};
}

std::int64_t HeldOut::targets_of(std::int64_t windows) const {
  std::int64_t targets = 0;
  for (std::int64_t i = 0; i < windows; ++i) targets += data_.targets_in(i);
  return targets;
}

}  // namespace organ::train
