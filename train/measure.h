// SPDX-License-Identifier: Apache-2.0
// Evaluation of a checkpoint folder in one call.
#pragma once

#include <string>
#include <vector>

#include "format/checkpoint.h"
#include "train/evaluation.h"
#include "train/precision.h"
#include "train/probes.h"

namespace organ::train {

struct Measurement {
  EvaluationResult result;
  std::vector<ProbeFinding> probes;  // all passed
};

// Loads the model, proves it by its self-tests and scores the data. `threads` 0: all cores. Throws
// what Model, run_probes and evaluate throw, internal when a self-test fails.
Measurement measure_checkpoint(const format::Checkpoint& checkpoint, Precision precision,
                               unsigned threads, const Dataset& data,
                               const EvaluationOptions& options);

// One line per self-test: "causality ok: …".
std::string describe(const ProbeFinding& finding);

// Throws internal naming the first finding that did not pass.
void require_passed(const std::vector<ProbeFinding>& findings);

// How a figure is written: ppl[P0,ctx=512,stride=512,tok=1a2b3c4d5e6f].
std::string protocol_label(std::int64_t context, std::int64_t stride,
                           const std::optional<Digest>& tokenizer);

}  // namespace organ::train
