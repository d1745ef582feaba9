// SPDX-License-Identifier: Apache-2.0
// Self-tests of a loaded model and its data before it is trained or measured: the mistakes that
// make a loss look better than it is (reference/training.md 8). Each takes a fraction of a second.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "format/base/error.h"

namespace organ::train {

class Dataset;
class Model;
struct Batch;

struct ProbeFinding {
  std::string name;  // causality | shift | hidden | padding | uniform | overlap
  bool passed = false;
  double measured = 0;
  double limit = 0;     // measured must not be above it
  std::string message;  // what the number is, one line
  // What a failure is and what helps: internal for our maths, invalid_argument for data.
  ErrorCode code = ErrorCode::internal;
  std::string hint = {};
};

// Layers [first, last) are those that run, all of them loaded: the whole model, or the organ alone
// between embedding and head.
struct ProbeLayers {
  std::int64_t first = 0, last = 0;
};

// causality: a changed token (of a decoder, where there is one) changes no bit of a logit before
// it. shift: the loss of each position is that of the next token, and the batch's targets are the
// next ids. padding: more rows and positions without targets do not change the loss, and no row's
// targets end in a run of one id. uniform: a zero stream scores ln(vocabulary) in the head without
// its shifts. hidden, of a masked
// model instead of causality: the targets are not in its input. `batch` is real data; where a pass
// of the model is needed, its first row is used.
std::vector<ProbeFinding> run_probes(Model& model, ProbeLayers layers, const Batch& batch);

// padding: documents (rows of ids) that end in a run of one id have padding that counts as text.
ProbeFinding probe_trailing_padding(const Dataset& data);

// overlap: how much of a held-out text training may know, see overlap.h.
ProbeFinding overlap_finding(double share);

}  // namespace organ::train
