// SPDX-License-Identifier: Apache-2.0
// The loss of a loaded model on a data set.
#pragma once

#include "train/data/dataset.h"
#include "train/evaluate/evaluation.h"
#include "train/model/model.h"

namespace organ::train {

// Scores a data set with the whole model, under the protocol of the options as measure_checkpoint.h
// describes it. Throws invalid_argument for options that cannot be, for a protocol or data that are
// not the model's, or when nothing is left to score; what options.progress throws.
EvaluationResult evaluate(Model& model, const Dataset& data, const EvaluationOptions& options);

}  // namespace organ::train
