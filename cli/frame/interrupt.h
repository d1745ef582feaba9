// SPDX-License-Identifier: Apache-2.0
// SIGINT, SIGTERM and SIGHUP: the end of a command, or a question that long work asks. Of long work
// also SIGQUIT, SIGPIPE and SIGXCPU, so that it leaves nothing half-made behind.
#pragma once

#include <array>
#include <csignal>
#include <string_view>

namespace organ::cli {

// From here on the first of the signals ends the process, by SIGINT itself or with exit code 130,
// after `said`, cut to 512 bytes, was written to stderr, but while an InterruptGuard lives. What
// another program left waiting by hold_interrupts comes now. A signal that is ignored stays
// ignored; SIGXFSZ is ignored. From here on no core file is written, whatever ends the process.
void end_when_interrupted(std::string_view said);

// The command is done and has only to say so: a first signal ends nothing from here on, a second
// SIGINT or SIGTERM does, at once.
void complete_first();

// The last call of a program that ends with `code`: where that is 130 and a guard saw SIGINT,
// SIGQUIT, SIGPIPE or SIGXCPU, the process dies of it. Shells show 130 for SIGINT, and end their
// loops.
void end_as_interrupted(int code);

// What the first signal that a guard takes writes to stderr, cut to 512 bytes: long steps are seen
// to end later. Empty: nothing.
void announce_interrupts(std::string_view said);

// Whether a line without an end stands on the terminal, which the last words must not join.
void note_open_line(bool open);

// Whether the last words of end_when_interrupted are written, perhaps by another thread: no line
// may be drawn behind them.
bool last_words_are_said();

// The signals wait until another program, which the caller is about to become, calls
// end_when_interrupted: its loader would know no better than to die.
void hold_interrupts();

// While one lives the first SIGINT, SIGTERM or SIGQUIT only sets a flag; a second one ends the
// process as if nothing were installed. SIGHUP, SIGPIPE and SIGXCPU set the flag however often they
// come: a lost terminal sends several. A signal that is ignored stays ignored (nohup; a shell's
// `command &`). The flag stays: a command that asks in several places is ended by the next one.
// They may nest; requested() may be asked by any thread.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  bool requested() const;

 private:
  std::array<struct sigaction, 6> old_{};  // in the order of interrupt.cc
};

}  // namespace organ::cli
