// SPDX-License-Identifier: Apache-2.0
#include "train/measure.h"

#include <algorithm>
#include <thread>

#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <fmt/core.h>

#include "format/base/error.h"
#include "train/internal/batches.h"
#include "train/internal/model.h"
#include "train/memory.h"

namespace organ::train {

Measurement measure_checkpoint(const format::Checkpoint& checkpoint, Precision precision,
                               unsigned threads, const Dataset& data,
                               const EvaluationOptions& options) {
  const c10::NoGradGuard no_grad;
  keep_large_blocks();
  at::set_num_threads(
      static_cast<int>(threads ? threads : std::max(1u, std::thread::hardware_concurrency())));
  Model model = Model::load(checkpoint, {.precision = precision});
  const std::int64_t first_window = 0;
  Measurement measurement;
  measurement.probes =
      run_probes(model, {0, model.layer_count()}, make_batch(data, {&first_window, 1}));
  require_passed(measurement.probes);
  measurement.result = evaluate(model, data, options);
  return measurement;
}

std::string describe(const ProbeFinding& finding) {
  return fmt::format("self-test {} {}: {} ({:.3g}, limit {:.3g})", finding.name,
                     finding.passed ? "ok" : "FAILED", finding.message, finding.measured,
                     finding.limit);
}

void require_passed(const std::vector<ProbeFinding>& findings) {
  for (const auto& finding : findings) {
    if (!finding.passed) throw Error(ErrorCode::internal, describe(finding));
  }
}

std::string protocol_label(std::int64_t context, std::int64_t stride,
                           const std::optional<Digest>& tokenizer) {
  return fmt::format("ppl[P0,ctx={},stride={},tok={}]", context, stride,
                     tokenizer ? tokenizer->hex().substr(0, 12) : "none");
}

}  // namespace organ::train
