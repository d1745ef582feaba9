// SPDX-License-Identifier: Apache-2.0
// What a run measured on its held-out data, as evaluations of the manifest.
#pragma once

#include <vector>

#include "format/manifest/manifest.h"
#include "train/trainer/trainer.h"

#pragma GCC visibility push(default)

namespace organ::train {

// A training run starts from the untouched recipient; recovery starts from the organ as
// transplanted. Empty without held-out data.
std::vector<format::Evaluation> training_evaluations(const TrainedRun& run);
std::vector<format::Evaluation> recovery_evaluations(const TrainedRun& run);

}  // namespace organ::train

#pragma GCC visibility pop
