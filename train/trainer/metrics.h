// SPDX-License-Identifier: Apache-2.0
// What a run tells while it goes; metrics.jsonl of its folder holds the same
// (schemas/metrics.v1.schema.json). A loss, norm or figure that is not finite stays NaN or infinity
// here and is null there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#pragma GCC visibility push(default)

namespace organ::train {

// What a run starts with.
struct RunMetrics {
  // Of the training data: how documents fill windows, the tokens that a window has, how many
  // windows and tokens there are.
  std::string packing;
  std::int64_t context = 0, windows = 0, tokens = 0;
  double filled_share = 0;  // of the windows' places
  double gemm_gflops = 0;   // the machine's rate of matrix products, measured at the start
};

struct StepMetrics {
  std::uint64_t step = 0;  // counts from 1: steps done
  // Over the windows of all processes, in the weights before the update.
  double loss = 0;  // mean NLL of the step's targets, nats
  // Of the update, from the schedule at step - 1; not applied where the step was skipped.
  double rate = 0;
  double gradient_norm = 0;  // before clipping
  // Positions of the step that are scored, of all processes.
  std::int64_t targets = 0;
  bool skipped = false;  // loss or gradient not finite: parameters unchanged
  // Numbers of the windows in the training data, in their order, those of all processes.
  std::vector<std::int64_t> windows;
  // Wall time of the step alone, without evaluations and train states; from it the rate of tokens,
  // context x rows, padding included.
  double seconds = 0;
  double tokens_per_second = 0;
  double gflops = 0;      // of all matrix products done meanwhile, prefixes included, per second
  double gemm_share = 0;  // gflops per RunMetrics::gemm_gflops
};

// A figure on the held-out data: mean NLL in nats over `targets` positions, after `step` steps.
struct EvaluationMetrics {
  std::uint64_t step = 0;
  double nll = 0;
  std::int64_t targets = 0;
};

}  // namespace organ::train

#pragma GCC visibility pop
