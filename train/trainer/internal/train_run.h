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
  // Once. Throws what train_layers says of a run under way; before it throws cancelled, or device
  // for steps that were not finite or a broken sum of gradients, it has saved a train state.
  TrainResult run();

 private:
  // Rows of a step that run at once.
  struct Pass {
    std::vector<std::int64_t> windows;
    Batch batch;
  };

  // Notes the rate of matrix products, the device, and how gradients are summed; a warning where
  // the rate is far too low.
  void measure_machine();
  // The self-tests over the fullest window of the training data. Throws the first that failed.
  void prove_model();
  // To the last step, or to the end of patience: before each step the stop, then the evaluation,
  // then the train state that is due.
  void train();
  // All steps are done, or as many evaluations in a row as `patience` were without gain.
  bool finished() const;
  // One update of the weights, or none where loss or gradient is not finite; told and logged.
  void step();
  std::vector<Pass> make_passes(std::span<const std::int64_t> windows,
                                std::span<const std::uint64_t> epochs,
                                std::span<const std::size_t> own) const;
  std::int64_t targets_of(std::span<const std::int64_t> windows,
                          std::span<const std::uint64_t> epochs, std::span<const std::size_t> own,
                          const std::vector<Pass>& passes) const;
  double accumulate_gradients(const std::vector<Pass>& passes, double targets);
  // Behind the sum over all processes. Fills in the norm before clipping, the rate and `skipped`.
  void update_weights(StepMetrics& metrics);
  void finish_skipped_step();
  // Too many in a row: saves a train state and throws.
  [[noreturn]] void give_up();
  // Of one process: its observer asks for a stop. Of several: the sums of the last step said so.
  bool interrupted() const;
  // Where it is: saves a train state, waits until it is written and throws cancelled.
  void stop_if_interrupted();
  // Of a row of the data on trained_path_, shared among the tokens of its window.
  double flops_per_token() const;
  // Since the construction, with what the resumed train state had already.
  std::uint64_t milliseconds() const;

  // Of each measurement: ends it where a stop is wanted, and tells how far it is.
  HeldOut::BeforePass before_pass();
  // With the weights that are in place; told and logged. Throws cancelled between passes.
  HeldOutLoss held_out_loss();
  // The figure before training, measured once: a resumed run takes it from its train state.
  void measure_untouched(TrainResult& result);
  // The figure of what is published, rounded to its stored types; in wrapper mode
  // that of Embed o Organ o Head too.
  void measure_trained(TrainResult& result);
  // Never of step 0, and of no step twice; of the last step only with patience.
  bool evaluation_due() const;
  bool save_due() const;
  // Measures the weights that would be published now, keeps them when they are the best (patience
  // only) and puts those that train back. A figure that is not finite is never the best.
  void evaluate();
  void log_evaluation(const HeldOutLoss& loss);
  // train_run_start.cc: what a run starts from and leaves.
  //
  // Locks the run folder (the process that writes files), reads the newest train state and opens
  // the log. Throws conflict for a folder that is locked, already_exists for a state that was not
  // asked for, and what restore throws.
  void resume_or_start();
  // Throws invalid_argument with the first axis in which the state is another run's.
  void require_same(const TrainStateRecord& saved);
  // Puts the state's numbers in place. Throws corrupt for buffers of other sizes.
  void restore(TrainState& state);
  // Throws invalid_argument where processes differ in settings, data or train state.
  void require_agreement();
  void log_start();
  // beside: written by another thread while the run goes on, off the CPU only. at_once: on return.
  enum class Saving { beside, at_once };
  // Waits for the state before. Of several processes the first alone writes.
  void save(Saving when);
  // Of all processes, which call it together.
  PrefixUse prefix_use();

  const format::Checkpoint& checkpoint_;
  const TrainSettings& settings_;
  const Dataset& data_;
  TrainObserver& observer_;
  Device device_;
  ProcessGroup& group_;
  GradientSum gradient_sum_;
  std::chrono::steady_clock::time_point start_;
  Model model_;
  // Bound to model_; weights_ borrows it, the paths below borrow model_.
  std::unique_ptr<TrainedParameters> trained_;
  WeightChoice weights_;
  LossPath trained_path_;  // what trains: in wrapper mode to its own top, else to the model's
  LossPath whole_path_;    // to the top of the model
  // None without settings.cache_folder; inputs_ and held_out_ borrow it.
  std::optional<CacheFolder> cache_;
  WeightDigests digests_;
  PrefixCache inputs_;
  std::optional<HeldOut> held_out_;
  BatchOrder order_;
  Schedule schedule_;
  // The run so far, as a train state would have it: the steps, updates and figures done.
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
