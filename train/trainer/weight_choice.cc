// SPDX-License-Identifier: Apache-2.0
// Which weights a run measures on held-out data and leaves behind.
#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "train/passes/batches.h"
#include "train/trainer/internal/train_run.h"

namespace organ::train {

std::string_view to_string(PublishedWeights weights) {
  switch (weights) {
    case PublishedWeights::last: return "last";
    case PublishedWeights::average: return "average";
    case PublishedWeights::best: return "best";
  }
  return {};
}

HeldOutLoss TrainRun::measure(LossPath& stack, PrefixCache& inputs) {
  std::array<double, 2> sums{};  // of the NLL, of the targets
  std::vector<std::int64_t> windows;
  std::int64_t turn = 0;
  for (std::int64_t first = 0; first < held_out_->windows(); first += settings_.batch) {
    stop_if_interrupted();
    if (turn++ % group_.size() != group_.rank()) continue;
    windows.clear();
    for (std::int64_t i = first; i < std::min(first + settings_.batch, held_out_->windows()); ++i) {
      windows.push_back(i);
    }
    const LossSum sum = stack.loss(inputs.inputs(windows), make_batch(*held_out_, windows));
    sums[0] += sum.nll;
    sums[1] += static_cast<double>(sum.targets);
  }
  group_.sum(sums);
  return {sums[0] / sums[1], static_cast<std::int64_t>(sums[1])};
}

void TrainRun::measure_untouched(TrainResult& result) {
  if (!record_.untouched_nll) {
    organ_.set_aside(true);
    const HeldOutLoss before = measure(whole_stack_, *held_out_inputs_);
    organ_.set_aside(false);
    log_evaluation(before);
    record_.untouched_nll = before.nll;
  }
  std::int64_t targets = 0;
  for (std::int64_t i = 0; i < held_out_->windows(); ++i) targets += held_out_->targets_in(i);
  result.before = HeldOutLoss{*record_.untouched_nll, targets};
}

void TrainRun::log_evaluation(const HeldOutLoss& loss) {
  const EvaluationMetrics metrics{record_.step, loss.nll, loss.targets};
  if (log_) log_->write(metrics);
  observer_.evaluation(metrics);
}

void TrainRun::swap_average() {
  const at::Tensor master = organ_.tensors().master, weights = master.clone();
  master.copy_(average_);
  average_.copy_(weights);
  average_in_place_ = !average_in_place_;
}

// Until put_trained_in_place the layers compute with what would be published now, rounded to
// nearest; with --ema average_ holds the weights that train.
void TrainRun::put_candidate_in_place() {
  if (average_.defined()) swap_average();
  organ_.refresh_working();
}

// Working weights as the last update left them.
void TrainRun::put_trained_in_place() {
  if (average_in_place_) swap_average();
  if (record_.updates > 0) {
    organ_.refresh_working(record_.updates);
  } else {
    organ_.refresh_working();
  }
}

// With patience the last weights are candidates too.
bool TrainRun::evaluation_due() const {
  if (!held_out_ || settings_.evaluate_every == 0 || record_.step == 0) return false;
  if (record_.evaluated_step == record_.step) return false;
  return record_.step < settings_.steps ? record_.step % settings_.evaluate_every == 0
                                        : settings_.patience > 0;
}

void TrainRun::evaluate() {
  put_candidate_in_place();
  const HeldOutLoss loss = measure(whole_stack_, *held_out_inputs_);
  log_evaluation(loss);
  record_.evaluated_step = record_.step;
  ++record_.evaluations_without_gain;
  if (std::isfinite(loss.nll) && (!record_.best_nll || loss.nll < *record_.best_nll)) {
    record_.best_nll = loss.nll;
    record_.best_step = record_.step;
    record_.evaluations_without_gain = 0;
    if (settings_.patience > 0) best_ = organ_.tensors().master.clone();
  }
  put_trained_in_place();
}

// Puts the weights to publish in place.
void TrainRun::choose_published(TrainResult& result) {
  put_candidate_in_place();
  result.published = !average_.defined() ? PublishedWeights::last : PublishedWeights::average;
  result.published_step = record_.step;
  if (!best_.defined()) return;
  organ_.tensors().master.copy_(best_);
  organ_.refresh_working();
  result.published = PublishedWeights::best;
  result.published_step = record_.best_step;
}

PrefixUse TrainRun::prefix_use() const {
  PrefixUse use{inputs_.counts().computed, inputs_.counts().read, cache_ ? cache_->damaged() : 0};
  if (held_out_inputs_) {
    use.computed += held_out_inputs_->counts().computed;
    use.read += held_out_inputs_->counts().read;
  }
  return use;
}

}  // namespace organ::train
