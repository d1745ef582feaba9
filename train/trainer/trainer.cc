// SPDX-License-Identifier: Apache-2.0
#include "train/trainer/trainer.h"

#include <ATen/core/Tensor.h>

#include "format/base/fail.h"
#include "format/checkpoint/folder_rules.h"
#include "train/data/task_draw.h"
#include "train/optimize/flat_layers.h"
#include "train/processes/own_machine.h"
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

// Several processes end at the same step, or wait for each other for ever: none ends before.
Work watched_by(const ProcessGroup& group, const Work& work) {
  if (group.alone()) return work;
  return group.writes_files() ? work.committed() : Work();
}

template <typename T>
void require_read_with(std::string_view data, std::string_view what, const T& read,
                       const T& expected) {
  if (read == expected) return;
  fail(ErrorCode::invalid_argument, "{}: {} is {}, expected {}, which is recorded of the run", data,
       what, read, expected);
}

// What is recorded of a run's settings must hold for its data too.
void check_reading(const TrainInputs& inputs) {
  const TrainSettings& settings = inputs.settings;
  const auto require = [&](std::string_view name, const Dataset& data, Packing packing,
                           std::uint64_t seed) {
    require_read_with(name, "context", data.context(), settings.context);
    const Packing read = data.packing().value_or(packing);
    require_read_with(name, "packing", to_string(read), to_string(packing));
    require_read_with(name, "seed of the draw", data.draw_seed().value_or(seed), seed);
  };
  require("training data", inputs.data.training, settings.packing, settings.seed);
  // Held-out figures are those of `organ eval`.
  if (inputs.held_out()) require("held-out data", *inputs.held_out(), Packing::concat, 0);
  require_read_with("held-out data", "seed of the choice of files",
                    inputs.data.hold_out_seed.value_or(settings.seed), settings.seed);
  if (!inputs.data.tokenizer) return;
  const auto own = inputs.checkpoint.own_tokenizer_digest();
  require_read_with("data", "tokenizer", inputs.data.tokenizer->to_string(),
                    own ? own->to_string() : std::string("none"));
}

// A run records the weights of its checkpoint, its precision and its device.
void check_loaded(const TrainInputs& inputs) {
  if (inputs.model == nullptr) return;
  const TrainSettings& settings = inputs.settings;
  if (&inputs.model->checkpoint() != &inputs.checkpoint) {
    throw Error(ErrorCode::invalid_argument,
                "loaded model: its checkpoint is not the one that the run is given",
                "give the run the model's own: checkpoint()");
  }
  require_read_with("loaded model", "precision", to_string(inputs.model->precision()),
                    to_string(settings.precision));
  // Of several processes each has a device of its own.
  const Device own = own_device(settings.machine.device, settings.place);
  const Device& loaded = inputs.model->machine().device;
  if (loaded.kind == own.kind && loaded.ordinal() == own.ordinal()) return;
  fail(ErrorCode::invalid_argument, "loaded model: device is {}, expected {}, where the run is",
       to_string(loaded), to_string(own));
}

void check_layers(const format::LayerRange& layers, std::uint64_t count) {
  if (layers.count > 0 && layers.first < count && layers.count <= count - layers.first) return;
  fail(ErrorCode::invalid_argument, "layers: {} from layer {} on, expected some of 0 to {}",
       layers.count, layers.first, count - 1);
}

// Throws for what no run can start with.
void check_inputs(const TrainInputs& inputs) {
  const TrainSettings& settings = inputs.settings;
  const Dataset& data = inputs.data.training;
  const Dataset* held_out = inputs.held_out();
  check_settings(settings);
  check_layers(settings.layers, inputs.checkpoint.architecture().layer_count());
  format::require_no_own_adapter(inputs.checkpoint.folder());
  require_task(inputs.checkpoint.architecture(), data);
  check_reading(inputs);
  check_loaded(inputs);
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
         "--batch x --accumulate: {} for {}, expected one or more for each",
         counted(settings.rows_per_step(), "window"), counted(place->size, "process"));
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
  const auto run = [&](const Device& named, at::Device opened) {
    ProcessGroup group = place ? ProcessGroup(*place) : ProcessGroup();
    WarningsOnly warnings(inputs.observer);
    TrainObserver& heard = group.writes_files() ? inputs.observer : warnings;
    TrainResult own = TrainRun({inputs.checkpoint, inputs.settings, inputs.data, heard,
                                inputs.model, watched_by(group, inputs.work)},
                               {named, opened}, group, make_trained)
                          .run();
    own.writes_files = group.writes_files();
    return own;
  };
  TrainResult result = on_own_machine(inputs.settings.machine, place, run);
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
