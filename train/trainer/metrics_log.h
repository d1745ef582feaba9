// SPDX-License-Identifier: Apache-2.0
// metrics.jsonl of a run folder: one JSON object per line, appended as the run goes
// (schemas/metrics.v1.schema.json).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "format/base/handle.h"
#include "train/trainer/metrics.h"

namespace organ::train {

// Append-only log. After a resume it continues behind the lines of the resumed state, so that an
// interrupted and a straight run leave the same lines (but for times).
class MetricsLog {
 public:
  // Opens FOLDER/metrics.jsonl; lines of steps after `resumed_step` are dropped, and of evaluations
  // after `evaluated_step` (nullopt: of all). A line that a crash left torn is dropped too.
  // Makes the folder where it is not there. The first line that is not kept ends the log: all
  // behind it goes too. Throws io, and refuses what is no regular file.
  MetricsLog(const std::filesystem::path& folder, std::uint64_t resumed_step,
             std::optional<std::uint64_t> evaluated_step);
  bool empty() const { return empty_; }  // nothing was kept and nothing written
  // One line each, written at once and not yet durable. The line of a run is the first of its log,
  // as step 0. Throws io.
  void write(const RunMetrics& metrics);
  void write(const StepMetrics& metrics);
  void write(const EvaluationMetrics& metrics);
  // What was written is durable on return: before a train state of these steps is saved. Throws io.
  void sync();

 private:
  void append(const std::string& line);
  std::filesystem::path path_;
  UniqueFd fd_;
  bool empty_ = true;
};

}  // namespace organ::train
