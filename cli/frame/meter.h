// SPDX-License-Identifier: Apache-2.0
// One line on stderr that says how far long work has come:
//
//   verifying  1.2 GB of 3.4 GB  35 %  512.3 MB/s  0:04 left
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>

#include "format/base/progress.h"

namespace organ::cli {

// How many characters a progress line may have: one less than the terminal of stderr is wide,
// because a full line wraps on some; 79 where that is not known.
std::size_t terminal_width();

// Whether this process may draw on its terminal: a job in the background would draw over what is
// typed. True without a terminal.
bool is_in_front();

// `head` and the parts, two spaces between them, as one line of at most `width` characters; what
// finds no place is left out from the right.
std::string fitted_line(std::string_view head, std::span<const std::string> parts,
                        std::size_t width);

// What a phase has done, as such a line. `rate`: units a second, 0 when not known yet.
std::string meter_line(std::string_view phase, Unit unit, std::uint64_t done, std::uint64_t total,
                       double rate, std::size_t width);

// Draws from one second after it was made, ten times a second over the same line of a terminal,
// else a new line each second; rate and time left from one second of a phase on. The line is wiped
// when the meter goes, so nothing else may be written to stderr before. Thread-safe.
class Meter {
 public:
  Meter();
  ~Meter();
  Meter(const Meter&) = delete;
  Meter& operator=(const Meter&) = delete;

  // A new phase, from 0 on. `total` is in units, 0 where it is not known: then there is no share
  // and no time left. Nothing is drawn before the first one.
  void begin(std::string_view phase, std::uint64_t total, Unit unit);
  // So much more of the phase is done. Takes no lock.
  void advance(std::uint64_t amount) { done_.fetch_add(amount, std::memory_order_relaxed); }

 private:
  using Clock = std::chrono::steady_clock;

  // All three on the meter's own thread, with mutex_ held but while it waits.
  void run(const std::stop_token& stop);
  void draw();
  void update_rate(Clock::time_point now, std::uint64_t done);

  const bool terminal_;
  std::atomic<std::uint64_t> done_{0};  // of the phase

  std::mutex mutex_;  // guards all below
  std::condition_variable_any changed_;
  std::string phase_;
  std::uint64_t total_ = 0;
  Unit unit_ = Unit::bytes;
  double rate_ = 0;
  std::uint64_t seen_ = 0;  // what was done when the rate was last looked at, and when
  Clock::time_point seen_at_, begun_at_;
  std::size_t drawn_ = 0;  // characters on the line

  std::optional<std::jthread> thread_;  // last: it uses everything above; none: nothing is drawn
};

}  // namespace organ::cli
