// SPDX-License-Identifier: Apache-2.0
// One run of whatever trains: steps, held-out figures, train states.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "train/optimize/schedule.h"
#include "train/optimize/trained_parameters.h"
#include "train/passes/cache_folder.h"
#include "train/passes/loss_path.h"
#include "train/passes/prefix_cache.h"
#include "train/processes/gradient_sum.h"
#include "train/processes/process_group.h"
#include "train/trainer/batch_order.h"
#include "train/trainer/internal/held_out.h"
#include "train/trainer/internal/state_writer.h"
#include "train/trainer/internal/weight_choice.h"
#include "train/trainer/metrics_log.h"
#include "train/trainer/run_training.h"
#include "train/trainer/train_state.h"
#include "train/trainer/trainer.h"

namespace organ::train {

// Where a process computes: what is told and recorded of it, and what LibTorch calls it.
struct RunDevice {
  Device named;
  at::Device opened;
};

// What decides the bits of the weights, and of the streams that they make below the organ.
struct WeightDigests {
  Digest all;
  Digest below = {};  // prefix_digest, where the cache folder needs it
};

// Borrows what it is given. Not thread-safe.
class TrainRun {
 public:
  TrainRun(const TrainInputs& inputs, const RunDevice& device, ProcessGroup& group,
           const MakeTrained& make_trained);
  TrainResult run();

 private:
  // Rows of a step that run at once.
  struct Pass {
    std::vector<std::int64_t> windows;
    Batch batch;
  };

  void measure_machine();
  void prove_model();
  void train();
  bool finished() const;
  void step();
  std::vector<Pass> make_passes(std::span<const std::int64_t> windows,
                                std::span<const std::uint64_t> epochs,
                                std::span<const std::size_t> own) const;
  std::int64_t targets_of(std::span<const std::int64_t> windows,
                          std::span<const std::uint64_t> epochs, std::span<const std::size_t> own,
                          const std::vector<Pass>& passes) const;
  double accumulate_gradients(const std::vector<Pass>& passes, double targets);
  void update_weights(StepMetrics& metrics);
  void finish_skipped_step();  // throws after too many in a row
  bool interrupted() const;
  void stop_if_interrupted();
  double flops_per_token() const;
  std::uint64_t milliseconds() const;

  HeldOutLoss held_out_loss();
  void measure_untouched(TrainResult& result);
  void measure_trained(TrainResult& result);
  bool evaluation_due() const;
  bool save_due() const;
  void evaluate();
  void log_evaluation(const HeldOutLoss& loss);
  PrefixUse prefix_use();

  // train_run_start.cc: what a run starts from and leaves.
  void resume_or_start();
  void require_same(const TrainStateRecord& saved);
  void restore(TrainState& state);
  void require_agreement();
  void log_start();
  enum class Saving { beside, at_once };
  void save(Saving when);

  const format::Checkpoint& checkpoint_;
  const TrainSettings& settings_;
  const Dataset& data_;
  TrainObserver& observer_;
  Device device_;
  ProcessGroup& group_;
  GradientSum gradient_sum_;
  std::chrono::steady_clock::time_point start_;
  Model model_;
  std::unique_ptr<TrainedParameters> trained_;
  WeightChoice weights_;
  LossPath trained_path_;  // what trains: in wrapper mode to its own top, else to the model's
  LossPath whole_path_;    // to the top of the model
  std::optional<CacheFolder> cache_;
  WeightDigests digests_;
  PrefixCache inputs_;
  std::optional<HeldOut> held_out_;
  BatchOrder order_;
  Schedule schedule_;
  TrainStateRecord record_;
  std::uint64_t saved_step_ = 0;
  StateWriter writer_;
  std::optional<double> last_loss_;
  double gemm_rate_ = 0;           // GFLOP/s
  bool stop_agreed_ = false;       // a process of several was told to stop
  std::optional<MetricsLog> log_;  // of the process that writes files, as is:
  std::shared_ptr<const void> run_folder_;
};

}  // namespace organ::train
