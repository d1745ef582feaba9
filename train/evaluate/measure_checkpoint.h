// SPDX-License-Identifier: Apache-2.0
// Evaluation of a checkpoint folder in one call.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "format/checkpoint/checkpoint.h"
#include "train/evaluate/evaluation.h"
#include "train/machine/machine_choice.h"
#include "train/machine/precision.h"
#include "train/probes/finding.h"

namespace organ::train {
struct Adapter;
}  // namespace organ::train

#pragma GCC visibility push(default)

namespace organ::train {

struct Measurement {
  EvaluationResult result;
  std::vector<ProbeFinding> probes;  // all passed
  // Of a diagnostic protocol: P0 over the same data, and the self-tests of its own batches, whose
  // failures tell what is wrong with it.
  std::optional<EvaluationResult> sound;
  std::vector<ProbeFinding> diagnosis;
};

// Loads the model, with the adapter when one is given, proves it and the data by the self-tests and
// scores the data. Throws device and what Model, run_probes and evaluate throw, and what a failed
// self-test says.
Measurement measure_checkpoint(const format::Checkpoint& checkpoint, Precision precision,
                               const MachineChoice& machine, const Dataset& data,
                               const EvaluationOptions& options, const Adapter* adapter = nullptr);

}  // namespace organ::train

#pragma GCC visibility pop
