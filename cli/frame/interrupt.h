// SPDX-License-Identifier: Apache-2.0
// SIGINT, SIGTERM and SIGHUP as a question that long work asks.
#pragma once

#include <array>
#include <csignal>

namespace organ::cli {

// While one lives the first SIGINT or SIGTERM only sets a flag; a second one ends the process as if
// nothing were installed. SIGHUP sets the flag however often it comes: a lost terminal sends it
// several times. A signal that is ignored stays ignored (nohup; a shell's `command &`). The flag
// stays: a command that asks in several places is ended by the next one. They may nest;
// requested() may be asked by any thread.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  bool requested() const;

 private:
  std::array<struct sigaction, 3> old_{};  // in the order of interrupt.cc
};

}  // namespace organ::cli
