// SPDX-License-Identifier: Apache-2.0
#include "cli/frame/interrupt.h"

#include <atomic>

namespace organ::cli {
namespace {

constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP};

std::atomic<bool> interrupted{false};
std::array<std::atomic<bool>, kSignals.size()> taken{};  // whose handler is ours
static_assert(std::atomic<bool>::is_always_lock_free, "signal handlers may touch it");

// Nothing but async-signal-safe work: the second signal finds the default action back in place.
void remember(int signal) {
  interrupted = true;
  if (signal == SIGHUP) return;
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    if (taken[i] && kSignals[i] != SIGHUP) std::signal(kSignals[i], SIG_DFL);
  }
}

}  // namespace

InterruptGuard::InterruptGuard() {
  struct sigaction action {};
  action.sa_handler = remember;
  sigemptyset(&action.sa_mask);
  // One after the other: of two that come together the second is a second.
  for (const int signal : kSignals) sigaddset(&action.sa_mask, signal);
  action.sa_flags = SA_RESTART;  // a write in progress goes on
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], nullptr, &old_[i]);
    taken[i] = old_[i].sa_handler != SIG_IGN;
    if (taken[i]) sigaction(kSignals[i], &action, nullptr);
  }
}

// The default that a first signal has put back stays, so that within another guard too a second one
// ends the process.
InterruptGuard::~InterruptGuard() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    struct sigaction now {};
    sigaction(kSignals[i], nullptr, &now);
    if (taken[i] && now.sa_handler == remember) sigaction(kSignals[i], &old_[i], nullptr);
  }
}

bool InterruptGuard::requested() const { return interrupted.load(std::memory_order_relaxed); }

}  // namespace organ::cli
