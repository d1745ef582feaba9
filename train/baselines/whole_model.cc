// SPDX-License-Identifier: Apache-2.0
// The baseline full: every number of the model.
#include <numeric>

#include "format/base/fail.h"
#include "train/baselines/baselines.h"
#include "train/baselines/report.h"
#include "train/data/task.h"
#include "train/optimize/flat_layers.h"
#include "train/optimize/trained_parameters.h"
#include "train/passes/loss_path.h"
#include "train/trainer/run_training.h"

namespace organ::train {

TrainResult train_whole_model(const format::Checkpoint& checkpoint, const TrainSettings& settings,
                              const Dataset& data, const Dataset* held_out,
                              TrainObserver& observer) {
  if (task_of(checkpoint.architecture()) != Task::next_token) {
    throw Error(ErrorCode::incompatible,
                fmt::format("model type {}: its embeddings and head do not train, those of causal "
                            "models do",
                            quote(checkpoint.architecture().model_type())),
                "same_layers trains all of its layers");
  }
  std::vector<std::uint64_t> layers(checkpoint.architecture().layer_count());
  std::iota(layers.begin(), layers.end(), 0);
  return run_training(checkpoint, settings, data, held_out, observer, [&](Model& model) {
    return std::make_unique<FlatLayers>(model, layers, settings.decay_all, Ends::trained);
  });
}

}  // namespace organ::train
