// SPDX-License-Identifier: Apache-2.0
#include "cli/train/watched_run.h"

#include <unistd.h>

#include <chrono>
#include <cmath>
#include <iostream>
#include <optional>
#include <string>

#include <fmt/core.h>

#include "cli/frame/amounts.h"
#include "cli/frame/interrupt.h"
#include "cli/frame/meter.h"
#include "format/base/fail.h"

namespace organ::cli {
namespace {

class ConsoleObserver final : public train::TrainObserver, public Progress {
 public:
  explicit ConsoleObserver(const Context& context)
      : context_(context), progress_(context.show_progress() && !context.quiet) {}
  ~ConsoleObserver() override { end_line(); }
  ConsoleObserver(const ConsoleObserver&) = delete;
  ConsoleObserver& operator=(const ConsoleObserver&) = delete;

  void note(std::string_view line) override {
    end_line();
    context_.note(line);
  }
  void detail(std::string_view line) override {
    meter_.reset();
    if (context_.verbose > 0) end_line();
    context_.detail(line);
  }
  void warn(std::string_view line) override {
    end_line();
    context_.warn(line);
  }
  void step(const train::StepMetrics& m, std::uint64_t total) override {
    meter_.reset();
    average_ = average_ ? 0.9 * *average_ + 0.1 * m.seconds : m.seconds;
    const auto left = static_cast<long>(*average_ * static_cast<double>(total - m.step));
    const std::string head = fmt::format("step {}/{}", m.step, total);
    const std::string parts[] = {
        fmt::format("loss {:.4f}", m.loss),
        m.step == total ? "finishing" : clock_text(static_cast<std::uint64_t>(left)) + " left",
        fmt::format("{:.0f} tok/s", m.tokens_per_second),
        fmt::format("{} GFLOP/s, {} % of this machine's", rate_text(m.gflops),
                    rate_text(100 * m.gemm_share))};
    const std::string whole = fitted_line(head, parts, std::string::npos);
    if (progress_ && !terminal_ && context_.verbose == 0) {
      write_line(whole, m.step == total);
    } else if (progress_ && is_in_front()) {
      std::cerr << '\r' + fitted_line(head, parts, terminal_width()) + "\x1b[K" << std::flush;
      open_line_ = true;
      note_open_line(true);
    } else {
      context_.detail(whole);
    }
  }
  void finished() override { end_line(); }

  // What comes before the first step. Until the observer is asked whether to stop, a signal ends
  // the process: nothing is written yet.
  void begin(std::string_view phase, std::uint64_t total, Unit unit) override {
    if (!progress_) return;
    if (!meter_) meter_.emplace();
    meter_->begin(phase, total, unit);
  }
  void advance(std::uint64_t amount) override {
    if (meter_) meter_->advance(amount);
  }

  bool stop_requested() const override {
    if (!interrupt_) {  // from here on somebody asks
      if (!context_.json) {
        announce_interrupts(
            "organ: interrupted, it keeps what is done and ends; once more: at once\n");
      }
      interrupt_.emplace();
    }
    return interrupt_->requested();
  }
  void measuring(std::int64_t done, std::int64_t total) override {
    if (!progress_) return;
    if (done == 0) {
      end_line();
      measured_ = 0;
      begin("measuring held-out windows", static_cast<std::uint64_t>(total), Unit::items);
    }
    advance(static_cast<std::uint64_t>(done - measured_));
    measured_ = done;
  }
  void evaluation(const train::EvaluationMetrics& m) override {
    note(fmt::format("held out after step {}: nll {:.6f}, perplexity {}, {}", m.step, m.nll,
                     perplexity_text(std::exp(m.nll)), counted(m.targets, "target")));
  }

 private:
  void end_line() {
    meter_.reset();
    if (open_line_) std::cerr << '\n';
    open_line_ = false;
    note_open_line(false);
  }

  // Into a file or a pipe, where nothing is drawn over: one line a second, as a Meter does.
  void write_line(const std::string& line, bool last) {
    const auto now = std::chrono::steady_clock::now();
    if (!last && written_ && now - *written_ < std::chrono::seconds(1)) return;
    written_ = now;
    std::cerr << line + '\n' << std::flush;
  }

  const Context& context_;
  mutable std::optional<InterruptGuard> interrupt_;
  bool progress_;
  const bool terminal_ = ::isatty(STDERR_FILENO) == 1;
  std::optional<std::chrono::steady_clock::time_point> written_;
  bool open_line_ = false;
  std::optional<double> average_;  // seconds per step
  std::optional<Meter> meter_;
  std::int64_t measured_ = 0;  // windows, as the meter has them
};

}  // namespace

WatchedRun watch_run(const Context& context) {
  auto observer = std::make_unique<ConsoleObserver>(context);
  const Work work(observer.get());
  return {std::move(observer), work};
}

void throw_result_interrupted(const std::filesystem::path& run_folder) {
  throw Error(ErrorCode::cancelled,
              fmt::format("interrupted behind the training: no result was written; train state "
                          "saved in {}",
                          quote(run_folder.string())),
              "the same command with --resume continues");
}

}  // namespace organ::cli
