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

TrainResult train_whole_model(const TrainInputs& inputs) {
  const format::Architecture& architecture = inputs.checkpoint.architecture();
  if (task_of(architecture) != Task::next_token) {
    throw Error(ErrorCode::incompatible,
                fmt::format("model type {}: its embeddings and head do not train, those of causal "
                            "models do",
                            quote(architecture.model_type())),
                "same_layers trains all of its layers");
  }
  std::vector<std::uint64_t> layers(architecture.layer_count());
  std::iota(layers.begin(), layers.end(), 0);
  return run_training(inputs, [&](Model& model) {
    return std::make_unique<FlatLayers>(model, inputs.checkpoint, layers, inputs.settings.decay_all,
                                        Ends::trained);
  });
}

}  // namespace organ::train
