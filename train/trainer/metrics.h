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

// What a run starts with.
struct RunMetrics {
  std::string packing;
  std::int64_t context = 0, windows = 0, tokens = 0;
  double filled_share = 0;  // of the windows' places
  double gemm_gflops = 0;   // the machine's rate of matrix products, measured at the start
};

struct StepMetrics {
  std::uint64_t step = 0;  // counts from 1: steps done
  double loss = 0;         // mean NLL of the step's targets, nats
  double rate = 0;
  double gradient_norm = 0;  // before clipping
  std::int64_t targets = 0;
  bool skipped = false;  // loss or gradient not finite: parameters unchanged
  std::vector<std::int64_t> windows;
  double seconds = 0;
  double tokens_per_second = 0;
  double gflops = 0;      // of all matrix products done, those of a prefix included, per second
  double gemm_share = 0;  // gflops per RunMetrics::gemm_gflops
};

struct EvaluationMetrics {
  std::uint64_t step = 0;
  double nll = 0;
  std::int64_t targets = 0;
};

// Append-only log. After a resume it continues behind the lines of the resumed state, so that an
// interrupted and a straight run leave the same lines (but for times).
class MetricsLog {
 public:
  // Opens FOLDER/metrics.jsonl; lines of steps after `resumed_step` are dropped, and of evaluations
  // after `evaluated_step` (nullopt: of all). A line that a crash left torn is dropped too.
  MetricsLog(const std::filesystem::path& folder, std::uint64_t resumed_step,
             std::optional<std::uint64_t> evaluated_step);
  bool empty() const { return empty_; }  // nothing was kept and nothing written
  void write(const RunMetrics& metrics);
  void write(const StepMetrics& metrics);
  void write(const EvaluationMetrics& metrics);
  void sync();

 private:
  void append(const std::string& line);
  std::filesystem::path path_;
  UniqueFd fd_;
  bool empty_ = true;
};

}  // namespace organ::train
