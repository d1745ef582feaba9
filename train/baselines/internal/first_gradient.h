// SPDX-License-Identifier: Apache-2.0
// What the loss of a run's first step asks of all layers.
#pragma once

#include <ATen/core/Tensor.h>

#include "train/data/dataset.h"
#include "train/model/model.h"
#include "train/optimize/trained_parameters.h"
#include "train/trainer/settings.h"

namespace organ::train {

// Adds d(sum NLL)/dw over the windows of the first step to the gradient of `whole`, which are all
// layers of the model, bound to it; returns that gradient, fp32 [numbers], on the CPU.
// That gradient must be zero before. The windows are those that a run of these settings begins
// with, one at a time, in the whole model. Of several processes each computes all of it. Throws
// device when a number of it is not finite.
at::Tensor first_gradient(Model& model, const TrainedParameters& whole,
                          const TrainSettings& settings, const Dataset& data);

}  // namespace organ::train
