// SPDX-License-Identifier: Apache-2.0
// Evaluation of a checkpoint folder, or of a model that is loaded already, in one call.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "format/checkpoint/checkpoint.h"
#include "train/evaluate/evaluation.h"
#include "train/machine/machine_choice.h"
#include "train/machine/precision.h"
#include "train/model/loaded_model.h"
#include "train/probes/finding.h"

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

// Loads the model, with the adapter of the folder `adapter` (PEFT's, or bottlenecks) unless that is
// empty, proves it and the data by the self-tests and scores the data.
//
// P0: windows of the joined documents, of ids windows of each row. Each token but the first of a
// document and its lead-in is a target once, in the first window that holds it and a token before
// it; with stride == context the first token of every window is no target. P3, P4 and P5 read the
// same windows. P0w: each token of a document behind its lead-in, one id, is a target once, in
// windows of one document that share one token with the window before, the last one moved back to
// be full. P1, P2 and P6 read one window of each document, cut or padded to the context.
//
// Memory does not grow with the data but for 24 bytes a window and 16 a document. Throws
// invalid_argument for a stride or context that cannot be, a protocol that is not the model's, P0w
// over data without a text or lead-in, or when nothing is left to score; device; incompatible for
// a model or an adapter whose maths is not known, or an adapter in the model's own folder unless
// that is `adapter`; the code of a self-test that failed; not_found,
// corrupt and io for files. What options.progress throws ends it.
Measurement measure_checkpoint(const format::Checkpoint& checkpoint, Precision precision,
                               const MachineChoice& machine, const Dataset& data,
                               const EvaluationOptions& options,
                               const std::filesystem::path& adapter = {});

// The same of a model that is there, without loading it: the same figures, bit for bit. The adapter
// is bound for this call alone. Thread-safe.
Measurement measure_model(const LoadedModel& model, const Dataset& data,
                          const EvaluationOptions& options,
                          const std::filesystem::path& adapter = {});

}  // namespace organ::train

#pragma GCC visibility pop
