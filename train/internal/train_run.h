// SPDX-License-Identifier: Apache-2.0
// One run of train_layers.
#pragma once

#include <chrono>
#include <optional>

#include "train/internal/organ_stack.h"
#include "train/internal/prefix_cache.h"
#include "train/interrupt.h"
#include "train/train_state.h"
#include "train/trainer.h"

namespace organ::train {

class TrainRun {
 public:
  TrainRun(const format::Checkpoint& checkpoint, const TrainSettings& settings, const Dataset& data,
           const Dataset* held_out, TrainObserver& observer);
  TrainResult run();

 private:
  void warn_if_slow();
  void prove_model();
  void resume_or_start();
  void restore(const TrainState& state);
  void train();
  void step();
  bool evaluate_now();         // true: patience is spent
  void finish_skipped_step();  // throws after too many in a row
  void save();
  void stop_if_interrupted();
  HeldOutLoss measure(OrganStack& stack, PrefixCache& inputs);
  void log_evaluation(const HeldOutLoss& loss);
  void round_to_stored_types();
  std::vector<TrainedTensor> collect() const;
  std::uint64_t milliseconds() const;

  const format::Checkpoint& checkpoint_;
  const TrainSettings& settings_;
  const Dataset& data_;
  const Dataset* held_out_;
  TrainObserver& observer_;
  InterruptGuard interrupt_;
  std::chrono::steady_clock::time_point start_;
  Model model_;
  FlatOrgan organ_;
  OrganStack trained_stack_;  // what trains
  OrganStack whole_stack_;    // to the top of the model
  PrefixCache inputs_;
  std::optional<PrefixCache> held_out_inputs_, held_out_embeddings_;
  BatchOrder order_;
  Schedule schedule_;
  TrainStateRecord record_;
  std::uint64_t saved_step_ = 0;
  std::optional<double> last_loss_;
  std::optional<MetricsLog> log_;
};

}  // namespace organ::train
