// SPDX-License-Identifier: Apache-2.0
// One run of train_layers.
#pragma once

#include <chrono>
#include <optional>

#include "train/data/batch_order.h"
#include "train/machine/interrupt.h"
#include "train/optimize/trained_parameters.h"
#include "train/passes/cache_folder.h"
#include "train/passes/loss_path.h"
#include "train/passes/prefix_cache.h"
#include "train/processes/gradient_sum.h"
#include "train/processes/process_group.h"
#include "train/trainer/metrics_log.h"
#include "train/trainer/run_training.h"
#include "train/trainer/train_state.h"
#include "train/trainer/trainer.h"

namespace organ::train {

class TrainRun {
 public:
  // `device`: settings.device, opened.
  TrainRun(const format::Checkpoint& checkpoint, const TrainSettings& settings, at::Device device,
           const Dataset& data, const Dataset* held_out, TrainObserver& observer,
           ProcessGroup& group, const MakeTrained& make_trained);
  TrainResult run();

 private:
  void measure_machine();
  void prove_model();
  void resume_or_start();
  void restore(TrainState& state);
  void require_agreement();
  void log_start();
  void train();
  bool finished() const;
  void step();
  std::span<const std::int64_t> own_share(std::span<const std::int64_t> windows) const;
  double accumulate_gradients(std::span<const std::int64_t> windows, double targets);
  void update_weights(StepMetrics& metrics);
  void finish_skipped_step();  // throws after too many in a row
  void save();
  bool interrupted() const;
  void stop_if_interrupted();
  double flops_per_token() const;
  std::uint64_t milliseconds() const;

  // What is measured and published: published_weights.cc.
  void measure_untouched(TrainResult& result);
  bool evaluation_due() const;
  void evaluate();
  HeldOutLoss measure(LossPath& stack, PrefixCache& inputs);
  void log_evaluation(const HeldOutLoss& loss);
  void swap_average();
  void put_candidate_in_place();
  void put_trained_in_place();
  void choose_published(TrainResult& result);
  PrefixUse prefix_use() const;

  const format::Checkpoint& checkpoint_;
  const TrainSettings& settings_;
  const Dataset& data_;
  const Dataset* held_out_;
  TrainObserver& observer_;
  ProcessGroup& group_;
  GradientSum gradient_sum_;
  InterruptGuard interrupt_;
  std::chrono::steady_clock::time_point start_;
  Model model_;
  std::unique_ptr<TrainedParameters> trained_;
  TrainedParameters& organ_;
  // Flat as the master weights and where they are; undefined without --ema and --patience.
  at::Tensor average_, best_;
  bool average_in_place_ = false;  // average_ and the master weights have changed places
  LossPath trained_stack_;         // what trains
  LossPath whole_stack_;           // to the top of the model
  std::optional<CacheFolder> cache_;
  PrefixCache inputs_;
  std::optional<PrefixCache> held_out_inputs_, held_out_embeddings_;
  BatchOrder order_;
  Schedule schedule_;
  TrainStateRecord record_;
  std::uint64_t saved_step_ = 0;
  std::optional<double> last_loss_;
  double gemm_rate_ = 0;           // GFLOP/s
  bool stop_agreed_ = false;       // a process of several was told to stop
  std::optional<MetricsLog> log_;  // of the process that writes files
};

}  // namespace organ::train
