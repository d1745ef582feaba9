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
using MakeTrained = std::function<std::unique_ptr<TrainedParameters>(Model&)>;

// Tests the settings and the data, then runs.
TrainResult run_training(const TrainInputs& inputs, const MakeTrained& make_trained);

}  // namespace organ::train
