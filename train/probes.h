// SPDX-License-Identifier: Apache-2.0
// Self-tests of a loaded model before it is trained or measured: the mistakes that make a loss
// look better than it is (reference/training.md 8). Each takes a fraction of a second.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace organ::train {

class Model;
struct Batch;

struct ProbeFinding {
  std::string name;  // causality | shift | padding | uniform
  bool passed = false;
  double measured = 0;
  double limit = 0;     // measured must not be above it
  std::string message;  // what the number is, one line
};

// Layers [first, last) are those that run, all of them loaded: the whole model, or the organ alone
// between embedding and head.
struct ProbeLayers {
  std::int64_t first = 0, last = 0;
};

// causality: a changed token changes no bit of a logit before it. shift: the loss of each position
// is that of the next token, and the batch's targets are the next ids. padding: more rows and
// positions without targets do not change the loss. uniform: a zero stream scores ln(vocabulary).
// `batch` is real data; its first row is used.
std::vector<ProbeFinding> run_probes(Model& model, ProbeLayers layers, const Batch& batch);

}  // namespace organ::train
