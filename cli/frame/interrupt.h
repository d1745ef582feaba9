// SPDX-License-Identifier: Apache-2.0
// SIGINT and SIGTERM as a question that long work asks.
#pragma once

#include <csignal>

namespace organ::cli {

// While one lives the first SIGINT or SIGTERM only sets a flag; a second one ends the process as if
// nothing were installed. The flag stays: a command that asks in several places is ended by the
// next one. At most one at a time; requested() may be asked by any thread.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  bool requested() const;

 private:
  struct sigaction old_interrupt_ {};
  struct sigaction old_terminate_ {};
};

}  // namespace organ::cli
