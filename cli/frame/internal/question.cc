// SPDX-License-Identifier: Apache-2.0
#include "cli/frame/internal/question.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <iostream>
#include <optional>

#include "format/base/fail.h"
#include "format/base/file.h"

namespace organ::cli {
namespace {

// The echo of the terminal is off while this lives.
class SilentTerminal {
 public:
  SilentTerminal() {
    if (::tcgetattr(STDIN_FILENO, &saved_) != 0) fail_errno("terminal", "tcgetattr");
    termios silent = saved_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    if (::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) != 0) fail_errno("terminal", "tcsetattr");
  }
  ~SilentTerminal() { ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved_); }
  SilentTerminal(const SilentTerminal&) = delete;
  SilentTerminal& operator=(const SilentTerminal&) = delete;

 private:
  termios saved_{};
};

// What would end or stop the process waits while this lives, and takes effect at its end. What is
// ignored stays so.
class HeldSignals {
 public:
  HeldSignals() {
    sigset_t held;
    sigemptyset(&held);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP}) {
      struct sigaction action {};
      sigaction(signal, nullptr, &action);
      if (action.sa_handler != SIG_IGN) sigaddset(&held, signal);
    }
    ::pthread_sigmask(SIG_BLOCK, &held, &before_);
    waiting_ = UniqueFd(::signalfd(-1, &held, SFD_CLOEXEC));
    if (!waiting_) fail_errno("signals", "signalfd");
  }
  ~HeldSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;

  // Waits for input or a signal; whether it is the former alone.
  bool input_comes_first() const {
    std::array<pollfd, 2> either = {{{STDIN_FILENO, POLLIN, 0}, {waiting_.get(), POLLIN, 0}}};
    while (::poll(either.data(), either.size(), -1) < 0) {
      if (errno != EINTR) fail_errno("terminal", "poll");
    }
    return either[1].revents == 0;
  }

 private:
  sigset_t before_{};
  UniqueFd waiting_;
};

// Nothing where a signal came first.
std::optional<std::string> typed_line(const HeldSignals& signals) {
  const SilentTerminal silent;
  std::string line;
  for (char byte = 0;; line += byte) {
    if (!signals.input_comes_first()) return std::nullopt;
    const ssize_t got = ::read(STDIN_FILENO, &byte, 1);
    if (got == 1 && byte == '\n') return line;
    if (got == 1) continue;
    std::cerr << '\n' << std::flush;
    fail(ErrorCode::cancelled, "no passphrase was typed: nothing was changed");
  }
}

}  // namespace

bool can_ask() { return ::isatty(STDIN_FILENO) == 1 && ::isatty(STDERR_FILENO) == 1; }

std::string ask_in_secret(std::string_view question) {
  for (;;) {
    std::cerr << question << std::flush;
    const HeldSignals signals;
    const std::optional<std::string> line = typed_line(signals);
    std::cerr << '\n' << std::flush;
    if (line) return *line;
  }
}

}  // namespace organ::cli
