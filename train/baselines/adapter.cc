// SPDX-License-Identifier: Apache-2.0
#include "train/baselines/baselines.h"
#include "train/optimize/flat_adapter.h"
#include "train/trainer/run_training.h"

namespace organ::train {

TrainResult train_adapter(const TrainInputs& inputs, Adapter& adapter) {
  TrainResult result = run_training(inputs, [&](Model& model) {
    return std::make_unique<FlatAdapter>(model, adapter, inputs.settings.decay_all);
  });
  adapter.values.clear();
  for (const TrainedTensor& tensor : result.tensors) {
    adapter.values.insert(adapter.values.end(), tensor.values.begin(), tensor.values.end());
  }
  return result;
}

}  // namespace organ::train
