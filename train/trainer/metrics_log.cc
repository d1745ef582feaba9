// SPDX-License-Identifier: Apache-2.0
#include "train/trainer/metrics_log.h"

#include <algorithm>
#include <cmath>
#include <span>

#include <fcntl.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/json.h"
#include "format/base/path_status.h"

namespace organ::train {
namespace {

// A step names each of its windows, at most 65,536 of up to 20 digits.
constexpr std::uint64_t kLongestLine = std::uint64_t{4} << 20;
constexpr std::uint64_t kPiece = std::uint64_t{1} << 20;

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

// Where the lines end that a resumed run keeps; holds no more than a piece and a line.
std::uint64_t end_of_kept(int fd, const Kept& kept, std::string_view subject) {
  const std::uint64_t size = file_size(fd, subject);
  std::string text;  // from `end` on
  std::uint64_t end = 0, read = 0;
  while (true) {
    std::size_t line = 0;
    for (auto next = text.find('\n'); next != text.npos; next = text.find('\n', line)) {
      const auto one = std::string_view(text).substr(line, next - line);
      if (!kept.includes(one, subject)) return end + line;
      line = next + 1;
    }
    text.erase(0, line);
    end += line;
    if (read == size || text.size() > kLongestLine) return end;
    const std::size_t held = text.size();
    const std::uint64_t piece = std::min(kPiece, size - read);
    text.resize(held + static_cast<std::size_t>(piece));
    read_at(fd, read, std::as_writable_bytes(std::span(text)).subspan(held), subject);
    read += piece;
  }
}

UniqueFd open_log(const std::filesystem::path& path, bool is_new) {
  const std::string subject = escape_text(path.string());
  if (!is_new) (void)open_regular(path);  // what else lies there is refused
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0666));
  if (!fd) fail_errno(subject, "open");
  if (is_new) sync_folder(path.parent_path());
  return fd;
}

}  // namespace

MetricsLog::MetricsLog(const std::filesystem::path& folder, std::uint64_t resumed_step,
                       std::optional<std::uint64_t> evaluated_step)
    : path_(folder / "metrics.jsonl") {
  create_folders(folder);
  const std::string subject = escape_text(path_.string());
  fd_ = open_log(path_, !is_there(path_));
  const std::uint64_t end = end_of_kept(fd_.get(), {resumed_step, evaluated_step}, subject);
  if (::ftruncate(fd_.get(), static_cast<off_t>(end)) != 0) fail_errno(subject, "truncate");
  sync_fd(fd_.get(), subject);
  empty_ = end == 0;
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
