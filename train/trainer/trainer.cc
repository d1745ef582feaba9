// SPDX-License-Identifier: Apache-2.0
#include "train/trainer/trainer.h"

#include <ATen/core/Tensor.h>

#include "format/base/fail.h"
#include "train/data/hold_out.h"
#include "train/data/task_draw.h"
#include "train/machine/start_machine.h"
#include "train/optimize/flat_layers.h"
#include "train/trainer/internal/train_run.h"
#include "train/trainer/run_training.h"

namespace organ::train {
namespace {

// What the processes that write no files have to say.
class WarningsOnly final : public TrainObserver {
 public:
  explicit WarningsOnly(TrainObserver& observer) : observer_(observer) {}
  void note(std::string_view /*line*/) override {}
  void warn(std::string_view line) override { observer_.warn(line); }
  void step(const StepMetrics& /*metrics*/, std::uint64_t /*total_steps*/) override {}
  void evaluation(const EvaluationMetrics& /*metrics*/) override {}
  bool stop_requested() const override { return observer_.stop_requested(); }

 private:
  TrainObserver& observer_;
};

// Throws for what no run can start with.
void check_inputs(const TrainInputs& inputs) {
  const TrainSettings& settings = inputs.settings;
  const Dataset& data = inputs.data.training;
  const Dataset* held_out = inputs.held_out();
  check_settings(settings);
  require_task(inputs.checkpoint.architecture(), data);
  if (data.task() == Task::spans && settings.mode == TrainMode::wrapper) {
    throw Error(ErrorCode::incompatible,
                "--mode wrapper: layers of an encoder-decoder do not stand between embedding and "
                "head alone, the decoder reads what the encoder made",
                "--mode in_situ trains them where they are");
  }
  if (held_out) check_disjoint(data.stream(), held_out->stream());
  if (!held_out && settings.evaluate_every > 0) {
    throw Error(ErrorCode::invalid_argument, "--evaluate-every: there is no held-out data",
                "give --held-out FILES or --held-out-share SHARE too");
  }
}

// Each process has a share of every step.
void check_place(const TrainSettings& settings) {
  const auto& place = settings.place;
  if (place && settings.rows_per_step() < place->size) {
    fail(ErrorCode::invalid_argument,
         "--batch x --accumulate: {} windows for {} processes, expected one or more for each",
         settings.rows_per_step(), place->size);
  }
}

}  // namespace

std::string_view to_string(PublishedWeights weights) {
  switch (weights) {
    case PublishedWeights::last: return "last";
    case PublishedWeights::average: return "average";
    case PublishedWeights::best: return "best";
  }
  return {};
}

TrainResult run_training(const TrainInputs& inputs, const MakeTrained& make_trained) {
  check_inputs(inputs);
  check_place(inputs.settings);
  const auto& place = inputs.settings.place;
  MachineChoice machine = inputs.settings.machine;
  machine.device = own_device(machine.device, place);
  const auto processes = static_cast<unsigned>(place ? place->local_size : 1);
  TrainResult result = on_machine(machine, processes, [&](at::Device device) {
    ProcessGroup group = place ? ProcessGroup(*place) : ProcessGroup();
    WarningsOnly warnings(inputs.observer);
    TrainObserver& heard = group.writes_files() ? inputs.observer : warnings;
    TrainResult own = TrainRun({inputs.checkpoint, inputs.settings, inputs.data, heard},
                               {machine.device, device}, group, make_trained)
                          .run();
    own.writes_files = group.writes_files();
    return own;
  });
  inputs.observer.finished();
  return result;
}

TrainResult train_layers(const TrainInputs& inputs) {
  const TrainSettings& settings = inputs.settings;
  return run_training(inputs, [&](Model& model) {
    return std::make_unique<FlatLayers>(model, inputs.checkpoint, settings.layers,
                                        settings.decay_all);
  });
}

}  // namespace organ::train
