// SPDX-License-Identifier: Apache-2.0
// One run over whatever trains: layers, an adapter, single elements or the whole model. No Torch.
#pragma once

#include <functional>
#include <memory>

#include "train/trainer/trainer.h"

namespace organ::train {

class Model;
class TrainedParameters;

// Makes them for the model of a run and binds them to it.
// Called once, when the model is loaded and before anything is tested or measured with it. It may
// run the model; what it throws ends the run. What it returns lives until the run ends.
using MakeTrained = std::function<std::unique_ptr<TrainedParameters>(Model&)>;

// Tests the settings and the data, then runs. Where settings.place names several processes, each
// calls it and makes its own. Throws as train_layers, and what `make_trained` throws.
TrainResult run_training(const TrainInputs& inputs, const MakeTrained& make_trained);

}  // namespace organ::train
