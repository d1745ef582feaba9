// SPDX-License-Identifier: Apache-2.0
#include "train/trainer/metrics_log.h"

#include <cmath>

#include <fcntl.h>
#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/json.h"
#include "format/base/path_status.h"

namespace organ::train {
namespace {

constexpr std::uint64_t kLogLimit = std::uint64_t{1} << 30;

Json finite(double value) { return std::isfinite(value) ? Json(value) : Json(); }

// What a resumed run keeps of its log.
struct Kept {
  std::uint64_t step = 0;
  std::optional<std::uint64_t> evaluation;

  // False for a torn or foreign line too.
  bool includes(std::string_view line, std::string_view subject) const {
    JsonLimits limits;
    limits.reals = true;
    try {
      const Json value = parse_json(line, limits, subject);
      const JsonObject object(value, std::string(subject));
      const std::uint64_t at = object.unsigned_integer("step");
      if (object.string("event") != "evaluation") return at <= step;
      return evaluation && at <= *evaluation;
    } catch (const Error&) {
      return false;
    }
  }
};

std::string lines_of(const std::string& text, const Kept& kept, std::string_view subject) {
  std::size_t end = 0;
  while (true) {
    const std::size_t next = text.find('\n', end);
    if (next == std::string::npos) break;
    if (!kept.includes(std::string_view(text).substr(end, next - end), subject)) break;
    end = next + 1;
  }
  return text.substr(0, end);
}

}  // namespace

MetricsLog::MetricsLog(const std::filesystem::path& folder, std::uint64_t resumed_step,
                       std::optional<std::uint64_t> evaluated_step)
    : path_(folder / "metrics.jsonl") {
  create_folders(folder);
  const std::string subject = escape_text(path_.string());
  std::string kept;
  if (is_there(path_)) {
    kept = lines_of(read_file(path_, kLogLimit), {resumed_step, evaluated_step}, subject);
  }
  empty_ = kept.empty();
  write_file(path_, kept);
  fd_ = UniqueFd(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (!fd_) fail_errno(subject, "open");
}

void MetricsLog::append(const std::string& line) {
  write_all(fd_.get(), line + "\n", escape_text(path_.string()));
  empty_ = false;
}

void MetricsLog::write(const RunMetrics& m) {
  append(Json{{"schema_version", 1},
              {"event", "run"},
              {"step", 0},
              {"packing", m.packing},
              {"context", m.context},
              {"windows", m.windows},
              {"tokens", m.tokens},
              {"filled_share", m.filled_share},
              {"gemm_gflops", m.gemm_gflops}}
             .dump());
}

void MetricsLog::write(const StepMetrics& m) {
  append(Json{{"schema_version", 1},
              {"event", "step"},
              {"step", m.step},
              {"loss", finite(m.loss)},
              {"learning_rate", m.rate},
              {"gradient_norm", finite(m.gradient_norm)},
              {"targets", m.targets},
              {"skipped", m.skipped},
              {"windows", m.windows},
              {"seconds", m.seconds},
              {"tokens_per_second", m.tokens_per_second},
              {"gflops", m.gflops},
              {"gemm_share", m.gemm_share}}
             .dump());
}

void MetricsLog::write(const EvaluationMetrics& m) {
  append(Json{{"schema_version", 1},
              {"event", "evaluation"},
              {"step", m.step},
              {"nll", finite(m.nll)},
              {"perplexity", finite(std::exp(m.nll))},
              {"targets", m.targets}}
             .dump());
}

void MetricsLog::sync() { sync_fd(fd_.get(), escape_text(path_.string())); }

}  // namespace organ::train
