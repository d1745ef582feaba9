// SPDX-License-Identifier: Apache-2.0
#include "cli/frame/interrupt.h"

#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>

#include "format/base/error.h"

namespace organ::cli {
namespace {

// The first kEnding end what is not long work with last words; the others as the system has it.
// SIGPIPE: the pager was closed. SIGXCPU: `ulimit -t`.
constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGXCPU};
constexpr std::size_t kEnding = 3;

std::atomic<bool> interrupted{false};
std::atomic<int> first_signal{0};
std::array<std::atomic<bool>, kSignals.size()> taken{};  // whose handler is ours
bool completing = false;                                 // complete_first was called
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free,
              "signal handlers may touch it");

// What is written in a handler, behind the end of an open line.
struct Words {
  std::array<char, 1 + 512> text{'\n'};
  std::size_t size = 0;  // without that end

  void set(std::string_view said) { size = said.copy(text.data() + 1, text.size() - 1); }
};

Words last_words, announcement;
std::atomic<bool> line_open{false};
std::atomic<bool> leaving{false};  // the last words are said

void write_out(const Words& words) {
  if (words.size == 0) return;
  const std::size_t start = line_open ? 0 : 1;
  // In one call: nothing comes between. Where it fails there is nobody else to tell.
  static_cast<void>(::write(STDERR_FILENO, words.text.data() + start, words.size + 1 - start) < 0);
}

// Several times for one cause: a second one is no second wish.
bool comes_often(int signal) { return signal == SIGHUP || signal == SIGPIPE || signal == SIGXCPU; }

// Nothing but async-signal-safe work: the second signal finds the default action back in place.
void remember(int signal) {
  int none = 0;
  first_signal.compare_exchange_strong(none, signal);  // before: who sees the flag may ask for it
  if (!interrupted.exchange(true)) write_out(announcement);
  if (comes_often(signal)) return;
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    if (taken[i] && !comes_often(kSignals[i])) std::signal(kSignals[i], SIG_DFL);
  }
}

// Ends the process by the signal itself, as nobody else could tell a shell: one that runs a loop
// ends it only when its command died of Ctrl-C. SIGTERM and SIGHUP leave an exit code.
void die_of(int signal) {
  if (signal == 0 || signal == SIGTERM || signal == SIGHUP) return;
  std::signal(signal, SIG_DFL);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  static_cast<void>(::raise(signal));  // waits, where a handler of it runs
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

void leave(int signal) {
  leaving = true;
  write_out(last_words);
  die_of(signal);
  ::_exit(exit_code(ErrorCode::cancelled));
}

sigset_t signal_set() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : kSignals) sigaddset(&set, signal);
  return set;
}

struct sigaction action_of(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  // One after the other: of two that come together the second is a second.
  action.sa_mask = signal_set();
  action.sa_flags = SA_RESTART | SA_ONSTACK;  // a write in progress goes on
  return action;
}

// A core file would hold keys, typed passphrases and gigabytes of weights, and lie where the
// command was called.
void leave_no_core() {
  struct rlimit limit {};
  ::getrlimit(RLIMIT_CORE, &limit);
  limit.rlim_cur = 0;
  ::setrlimit(RLIMIT_CORE, &limit);
}

// Kernels that oneDNN makes while it runs use the stack pointer for data of theirs on the heap:
// what the system puts below it for a handler would lie over others' memory. So handlers have a
// stack of their own; signals of the process go to its first thread.
void make_signal_stack() {
  alignas(64) static std::array<std::byte, std::size_t{128} << 10> memory;
  stack_t stack{};
  stack.ss_sp = memory.data();
  stack.ss_size = memory.size();
  ::sigaltstack(&stack, nullptr);
}

}  // namespace

void end_when_interrupted(std::string_view said) {
  last_words.set(said);
  make_signal_stack();
  leave_no_core();
  std::signal(SIGXFSZ, SIG_IGN);  // a write beyond `ulimit -f` then fails like one on a full disk
  const struct sigaction action = action_of(leave);
  for (std::size_t i = 0; i < kEnding; ++i) {
    struct sigaction now {};
    sigaction(kSignals[i], nullptr, &now);
    if (now.sa_handler != SIG_IGN) sigaction(kSignals[i], &action, nullptr);
  }
  const sigset_t set = signal_set();
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

// Behind a first signal the default stays, so that the second one ends the process.
void complete_first() {
  completing = true;
  const struct sigaction action = action_of(remember);
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    struct sigaction now {};
    sigaction(kSignals[i], nullptr, &now);
    if (now.sa_handler != (i < kEnding ? leave : SIG_DFL)) continue;
    taken[i] = true;
    sigaction(kSignals[i], &action, nullptr);
  }
}

void announce_interrupts(std::string_view said) { announcement.set(said); }

void note_open_line(bool open) { line_open = open; }

bool last_words_are_said() { return leaving; }

void hold_interrupts() {
  const sigset_t set = signal_set();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

InterruptGuard::InterruptGuard() {
  make_signal_stack();
  const struct sigaction action = action_of(remember);
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], nullptr, &old_[i]);
    taken[i] = old_[i].sa_handler != SIG_IGN;
    if (taken[i]) sigaction(kSignals[i], &action, nullptr);
  }
}

// The default that a first signal has put back stays, so that within another guard too a second one
// ends the process.
InterruptGuard::~InterruptGuard() {
  if (completing) return;
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    struct sigaction now {};
    sigaction(kSignals[i], nullptr, &now);
    if (taken[i] && now.sa_handler == remember) sigaction(kSignals[i], &old_[i], nullptr);
  }
}

void end_as_interrupted(int code) {
  if (code == exit_code(ErrorCode::cancelled)) die_of(first_signal);
}

bool InterruptGuard::requested() const { return interrupted.load(std::memory_order_relaxed); }

}  // namespace organ::cli
