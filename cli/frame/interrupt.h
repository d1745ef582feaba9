// SPDX-License-Identifier: Apache-2.0
// SIGINT, SIGTERM and SIGHUP: the end of a command, or a question that long work asks.
#pragma once

#include <array>
#include <csignal>
#include <string_view>

namespace organ::cli {

// From here on the first of the signals ends the process with exit code 130 after `said`, cut to
// 512 bytes, was written to stderr, but while an InterruptGuard lives. What another program left
// waiting by hold_interrupts comes now. A signal that is ignored stays ignored.
void end_when_interrupted(std::string_view said);

// The command is done and has only to say so: a first signal ends nothing from here on, a second
// SIGINT or SIGTERM does, at once.
void complete_first();

// Whether a line without an end stands on the terminal, which the last words must not join.
void note_open_line(bool open);

// The signals wait until another program, which the caller is about to become, calls
// end_when_interrupted: its loader would know no better than to die.
void hold_interrupts();

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
