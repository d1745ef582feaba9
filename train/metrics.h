// SPDX-License-Identifier: Apache-2.0
// metrics.jsonl of a run folder: one JSON object per line, appended as the run goes
// (schemas/metrics.v1.schema.json).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "format/base/file.h"

namespace organ::train {

struct StepMetrics {
  std::uint64_t step = 0;  // counts from 1: steps done
  double loss = 0;         // mean NLL of the step's targets, nats
  double rate = 0;
  double gradient_norm = 0;  // before clipping
  std::int64_t targets = 0;
  bool skipped = false;  // loss or gradient not finite: parameters unchanged
  std::vector<std::int64_t> windows;
  double tokens_per_second = 0;
  double gflops = 0;  // matrix products done per second, estimated from the shapes
};

struct EvaluationMetrics {
  std::uint64_t step = 0;
  double nll = 0;
  std::int64_t targets = 0;
};

// Append-only log. After a resume it continues behind the line of the resumed step, so that an
// interrupted and a straight run leave the same lines (but for times).
class MetricsLog {
 public:
  // Opens FOLDER/metrics.jsonl; lines of steps after `resumed_step` are dropped. A line that a
  // crash left torn is dropped too.
  MetricsLog(const std::filesystem::path& folder, std::uint64_t resumed_step);
  void write(const StepMetrics& metrics);
  void write(const EvaluationMetrics& metrics);
  void sync();

 private:
  void append(const std::string& line);
  std::filesystem::path path_;
  UniqueFd fd_;
};

}  // namespace organ::train
