// SPDX-License-Identifier: Apache-2.0
// Trains a run of layers of a checkpoint on a data set, the rest frozen. Deterministic on one CPU
// type for a fixed number of threads: one seed gives one result, and a resumed run gives the bits
// of the straight one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/progress.h"
#include "format/checkpoint/checkpoint.h"
#include "train/data/run_data.h"
#include "train/model/loaded_model.h"
#include "train/optimize/trained_tensor.h"
#include "train/trainer/metrics.h"
#include "train/trainer/settings.h"

#pragma GCC visibility push(default)

namespace organ::train {

// Receives what happens while a run goes; called on the thread that called train_layers. What it
// throws ends the run.
class TrainObserver {
 public:
  virtual ~TrainObserver() = default;
  // One line for people each, without its end.
  virtual void note(std::string_view line) = 0;
  virtual void detail(std::string_view /*line*/) {}  // what few want to read
  virtual void warn(std::string_view line) = 0;
  // After each step, skipped ones too: also the third in a row, behind which the run ends. Of a
  // resumed run from the step behind its train state on.
  virtual void step(const StepMetrics& metrics, std::uint64_t total_steps) = 0;
  // Before each pass of a measurement of held-out data: so many of its windows are done. From 0 on
  // for each measurement; never told that all are.
  virtual void measuring(std::int64_t /*done*/, std::int64_t /*total*/) {}
  // After each measurement of held-out data with the whole model, before training included.
  virtual void evaluation(const EvaluationMetrics& metrics) = 0;
  virtual void finished() {}  // the run has its result; not called when it throws
  // Asked before each step and between pieces of a measurement. Once true, always true: the run
  // saves a train state and ends with Error(cancelled). One process of several stops them all.
  virtual bool stop_requested() const { return false; }
};

// What a run is made of, borrowed; nothing changes it while the run goes.
struct TrainInputs {
  const format::Checkpoint& checkpoint;
  const TrainSettings& settings;
  const RunData& data;
  TrainObserver& observer;
  // Loaded already, of this very checkpoint and with the settings' precision and device: the run
  // has the bits of one that loads it, and leaves it as it was. Null: the run loads it for itself.
  // The observer may use it meanwhile: it computes with its own weights, not with the run's.
  const LoadedModel* model = nullptr;
  // Watches what comes before the observer is asked for the first time: the model is hashed. An end
  // leaves nothing behind, in a run of one process; several hear of it at their first step. Its
  // thread limit counts for nothing, settings.machine has one.
  Work work = {};

  const Dataset* held_out() const { return data.held_out ? &*data.held_out : nullptr; }
};

// Mean NLL on the held-out windows, protocol P0.
struct HeldOutLoss {
  double nll = 0;
  std::int64_t targets = 0;
};

// Whose weights a run publishes: of the last step, their moving average, or those (averaged or not)
// of the evaluation with the lowest held-out loss.
enum class PublishedWeights { last, average, best };
std::string_view to_string(PublishedWeights weights);

// Windows whose stream below the organ was computed, or read from the cache folder; entries of it
// that were damaged and computed again. Of all processes.
struct PrefixUse {
  std::uint64_t computed = 0, read = 0, damaged = 0;
};

// What a run leaves. Plain value; the tensors hold 4 bytes for each trained number.
struct TrainResult {
  std::vector<TrainedTensor> tensors;  // by layer, then name; an adapter's in its own order
  std::uint64_t trainable = 0;         // numbers that trained
  Device device;                       // where this process ran
  // Which weights `tensors` are, and the step after which they were so.
  PublishedWeights published = PublishedWeights::last;
  std::uint64_t published_step = 0;
  PrefixUse prefix;
  // False in all processes of a run but the first: what is to be written is written there.
  bool writes_files = true;
  // The run folder is this run's for as long as a copy of it is there; null in other processes.
  std::shared_ptr<const void> run_folder;
  std::optional<HeldOutLoss> before;   // the whole model as it came
  std::optional<HeldOutLoss> after;    // the whole model with the trained layers in place
  std::optional<HeldOutLoss> wrapper;  // Embed o Organ o Head after training, wrapper mode only
  // Done in all, those before a resumption included.
  std::uint64_t steps = 0;
  std::uint64_t skipped = 0;       // steps whose loss or gradient was not finite
  std::uint64_t milliseconds = 0;  // of all parts of a resumed run
  // Of the last step that was not skipped; nullopt where this part of the run made none.
  std::optional<double> last_loss;
  double flops_per_token = 0;  // matrix products of a step, forward and backward
  // By patience, before all steps were done.
  bool stopped_early = false;
};

// A run and what came of it, borrowed.
struct TrainedRun {
  const TrainInputs& inputs;
  const TrainResult& result;
};

// Where settings.place names several processes, this one is one of them: each computes its share of
// every step, all end with the same weights, the first writes files and reports. The process itself
// (signals, environment, memory, threads) is left as it is but for what settings.machine says.
// Throws invalid_argument (settings; data that were read with others; a model that was loaded
// otherwise; a run folder that holds another run), conflict when another run is at work in the run
// folder, cancelled when the observer requested a stop (the step is finished and a train state
// written), device after three steps in a row whose loss or gradient was not finite (parameters are
// the last good ones and saved) or when another process was lost, io, and what Model throws.
TrainResult train_layers(const TrainInputs& inputs);

}  // namespace organ::train

#pragma GCC visibility pop
