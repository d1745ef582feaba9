// SPDX-License-Identifier: Apache-2.0
#include "cli/frame/meter.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <vector>

#include <fmt/core.h>

#include "cli/frame/amounts.h"
#include "cli/frame/interrupt.h"
#include "format/base/try_thread.h"

namespace organ::cli {
namespace {

constexpr std::chrono::milliseconds kPatience{1000};  // what ends sooner shows no meter
constexpr std::chrono::milliseconds kRedraw{100};
constexpr double kRateSeconds = 3;  // how long the rate remembers

std::string amount_text(std::uint64_t amount, Unit unit) {
  return unit == Unit::bytes ? size_text(amount) : std::to_string(amount);
}

std::vector<std::string> parts_of(Unit unit, std::uint64_t done, std::uint64_t total, double rate) {
  std::vector<std::string> parts;
  if (total > 0) {
    done = std::min(done, total);
    parts.push_back(amount_text(done, unit) + " of " + amount_text(total, unit));
    parts.push_back(fmt::format(
        "{:.0f} %", std::floor(100 * static_cast<double>(done) / static_cast<double>(total))));
  } else if (done > 0) {
    parts.push_back(amount_text(done, unit));
  }
  if (total > 0 && done == total) {  // what is left has no figures
    parts.emplace_back("finishing");
    return parts;
  }
  if (rate < 1) return parts;
  parts.push_back(amount_text(static_cast<std::uint64_t>(rate), unit) + "/s");
  if (total > 0) {
    const double left = std::ceil(static_cast<double>(total - done) / rate);
    parts.push_back(clock_text(static_cast<std::uint64_t>(left)) + " left");
  }
  return parts;
}

}  // namespace

bool is_in_front() {
  const pid_t front = ::tcgetpgrp(STDERR_FILENO);
  return front < 0 || front == ::getpgrp();
}

std::size_t terminal_width() {
  winsize size{};
  const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return (known ? size.ws_col : 80u) - 1;
}

std::string fitted_line(std::string_view head, std::span<const std::string> parts,
                        std::size_t width) {
  std::string line(head.substr(0, width));
  for (const std::string& part : parts) {
    if (line.size() + 2 + part.size() > width) break;
    line += "  " + part;
  }
  return line;
}

std::string meter_line(std::string_view phase, Unit unit, std::uint64_t done, std::uint64_t total,
                       double rate, std::size_t width) {
  return fitted_line(phase, parts_of(unit, done, total, rate), width);
}

Meter::Meter()
    : terminal_(::isatty(STDERR_FILENO) == 1),
      thread_(try_thread([this](const std::stop_token& stop) { run(stop); })) {}

Meter::~Meter() {
  thread_.reset();
  if (terminal_ && drawn_ > 0) {
    const std::size_t echo = 2;  // of Ctrl-C, by the terminal
    std::cerr << '\r' + std::string(std::min(drawn_ + echo, terminal_width()), ' ') + '\r'
              << std::flush;
    note_open_line(false);
  }
}

void Meter::begin(std::string_view phase, std::uint64_t total, Unit unit) {
  const std::lock_guard lock(mutex_);
  phase_ = phase;
  total_ = total;
  unit_ = unit;
  done_ = 0;
  seen_ = 0;
  begun_at_ = seen_at_ = Clock::now();
  rate_ = 0;
}

void Meter::run(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  const auto pause = [&](std::chrono::milliseconds time) {
    changed_.wait_for(lock, stop, time, [] { return false; });
    return !stop.stop_requested();
  };
  if (!pause(kPatience)) return;
  do {
    if (!phase_.empty() && (!terminal_ || is_in_front())) draw();
  } while (pause(terminal_ ? kRedraw : kPatience));
}

void Meter::draw() {
  const std::uint64_t done = done_.load(std::memory_order_relaxed);
  const auto now = Clock::now();
  update_rate(now, done);
  const std::size_t width = terminal_width();
  // What was done in a moment says nothing of what is left.
  const double rate = now - begun_at_ < kPatience ? 0 : rate_;
  const std::string line = meter_line(phase_, unit_, done, total_, rate, width);
  if (last_words_are_said()) return;
  if (!terminal_) {
    std::cerr << line + '\n' << std::flush;
    return;
  }
  // What the longer line of before left is overwritten, never more than the terminal is wide now.
  const std::size_t rest = std::min(drawn_, width) - std::min({drawn_, width, line.size()});
  note_open_line(true);  // before: a signal may come as soon as the line is there
  std::cerr << '\r' + line + std::string(rest, ' ') + std::string(rest, '\b') << std::flush;
  drawn_ = line.size();
}

void Meter::update_rate(Clock::time_point now, std::uint64_t done) {
  const double seconds = std::chrono::duration<double>(now - seen_at_).count();
  if (seconds <= 0 || done < seen_) return;
  const double rate = static_cast<double>(done - seen_) / seconds;
  rate_ = rate_ == 0 ? rate : rate_ + (rate - rate_) * (1 - std::exp(-seconds / kRateSeconds));
  seen_ = done;
  seen_at_ = now;
}

}  // namespace organ::cli
