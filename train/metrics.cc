// SPDX-License-Identifier: Apache-2.0
#include "train/metrics.h"

#include <cmath>

#include <fcntl.h>
#include <nlohmann/json.hpp>

#include "format/base/error.h"
#include "format/base/json.h"

namespace organ::train {
namespace {

constexpr std::uint64_t kLogLimit = std::uint64_t{1} << 30;

Json finite(double value) { return std::isfinite(value) ? Json(value) : Json(); }

// The step of a whole line, nullopt for a torn or foreign one.
std::optional<std::uint64_t> step_of(std::string_view line, std::string_view subject) {
  JsonLimits limits;
  limits.reals = true;
  try {
    const Json value = parse_json(line, limits, subject);
    return JsonObject(value, std::string(subject)).unsigned_integer("step");
  } catch (const Error&) {
    return std::nullopt;
  }
}

// The lines that a run resumed at `step` keeps.
std::string lines_until(const std::string& text, std::uint64_t step, std::string_view subject) {
  std::string kept;
  std::size_t start = 0;
  while (start < text.size()) {
    const std::size_t end = text.find('\n', start);
    if (end == std::string::npos) break;
    const std::string_view line(text.data() + start, end - start);
    const auto at = step_of(line, subject);
    if (!at || *at > step) break;
    kept += text.substr(start, end + 1 - start);
    start = end + 1;
  }
  return kept;
}

}  // namespace

MetricsLog::MetricsLog(const std::filesystem::path& folder, std::uint64_t resumed_step)
    : path_(folder / "metrics.jsonl") {
  std::filesystem::create_directories(folder);
  const std::string subject = escape_text(path_.string());
  std::string kept;
  if (std::filesystem::exists(path_)) {
    kept = lines_until(read_file(path_, kLogLimit), resumed_step, subject);
  }
  write_file(path_, kept);
  fd_ = UniqueFd(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (!fd_) fail_errno(subject, "open");
}

void MetricsLog::append(const std::string& line) {
  write_all(fd_.get(), line + "\n", escape_text(path_.string()));
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
              {"tokens_per_second", m.tokens_per_second},
              {"gflops", m.gflops}}
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
