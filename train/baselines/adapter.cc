// SPDX-License-Identifier: Apache-2.0
#include "train/baselines/baselines.h"
#include "train/optimize/flat_adapter.h"
#include "train/trainer/run_training.h"

namespace organ::train {

TrainResult train_adapter(const format::Checkpoint& checkpoint, const TrainSettings& settings,
                          Adapter& adapter, const Dataset& data, const Dataset* held_out,
                          TrainObserver& observer) {
  TrainResult result =
      run_training(checkpoint, settings, data, held_out, observer, [&](Model& model) {
        return std::make_unique<FlatAdapter>(model, adapter, settings.decay_all);
      });
  adapter.values.clear();
  for (const TrainedTensor& tensor : result.tensors) {
    adapter.values.insert(adapter.values.end(), tensor.values.begin(), tensor.values.end());
  }
  return result;
}

}  // namespace organ::train
