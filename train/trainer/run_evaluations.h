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
//
// In this order: recipient_untouched, as_transplanted (with the position) and in wrapper mode
// wrapper; of recovery as_transplanted and after_recovery. Each with the protocol of the data's
// task, stride = context, and the conditions it was measured under; those of published weights say
// whether they were chosen by this very figure (early stopping).
std::vector<format::Evaluation> training_evaluations(const TrainedRun& run);
std::vector<format::Evaluation> recovery_evaluations(const TrainedRun& run);

}  // namespace organ::train

#pragma GCC visibility pop
