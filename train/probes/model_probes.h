// SPDX-License-Identifier: Apache-2.0
// Self-tests of a loaded model and its data before it is trained or measured: the mistakes that
// make a loss look better than it is (schemas/training.md). Each takes a fraction of a second.
#pragma once

#include <cstdint>
#include <vector>

#include "train/probes/finding.h"

namespace organ::train {
class Model;
struct Batch;

// Layers [first, last) are those that run, all of them loaded: the whole model, or the organ alone
// between embedding and head.
struct ProbeLayers {
  std::int64_t first = 0, last = 0;
};

// finite: the logits are numbers. causality: a changed token (of a decoder, where there is one)
// changes no bit of a logit before it (with experts: no more than rounding). shift: the loss of
// each position is that of the next token, and the batch's targets are the next ids. padding: more
// rows and positions without targets do not change the loss, and no row's targets end in a run of
// one id. uniform: a zero stream scores ln(vocabulary) in the head without its shifts. hidden, of a
// masked model instead of causality: the targets are not in its input. `batch` is real data; where
// a pass of the model is needed, its first row is used.
// `padding`: see probe_trailing_padding.
std::vector<ProbeFinding> run_probes(Model& model, ProbeLayers layers, const Batch& batch,
                                     PaddingIds padding = {});

}  // namespace organ::train
