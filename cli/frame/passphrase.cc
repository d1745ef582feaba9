// SPDX-License-Identifier: Apache-2.0
#include "cli/frame/passphrase.h"

#include <termios.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "cli/frame/command.h"
#include "format/base/fail.h"
#include "format/base/file.h"

namespace organ::cli {
namespace {

constexpr std::uint64_t kMostBytes = 1026;  // the longest passphrase and a line end

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

bool has_terminal() { return ::isatty(STDIN_FILENO) == 1 && ::isatty(STDERR_FILENO) == 1; }

std::string ask(std::string_view question) {
  std::cerr << question << std::flush;
  std::string line;
  {
    const SilentTerminal silent;
    std::getline(std::cin, line);
  }
  std::cerr << '\n';
  return line;
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find_first_of("\r\n"));
}

// Everything but the terminal.
std::optional<std::string> given_passphrase(const PassphraseOptions& options) {
  if (options.file) return first_line(read_file(*options.file, kMostBytes));
  if (options.fd) {
    std::string text;
    char byte = 0;
    while (text.size() < kMostBytes && ::read(*options.fd, &byte, 1) == 1 && byte != '\n') {
      text += byte;
    }
    return first_line(text);
  }
  const char* variable = std::getenv("ORGAN_KEY_PASSPHRASE");
  if (variable != nullptr) return variable;
  return std::nullopt;
}

}  // namespace

void add_passphrase_options(Command& command, PassphraseOptions& options) {
  const Option file =
      command.add_path("--passphrase-file", options.file,
                       "file whose first line is the passphrase of the private key");
  command.add_option("--passphrase-fd", options.fd, "the same from an open file descriptor")
      .excludes(file);
  file.value_name("FILE");
}

format::PassphraseSource passphrase_source(const PassphraseOptions& options) {
  return [options]() -> std::string {
    if (auto given = given_passphrase(options)) return *given;
    if (has_terminal()) return ask("passphrase of the private key: ");
    throw Error(ErrorCode::invalid_argument,
                "the private key is encrypted and no passphrase is given",
                "use --passphrase-file, --passphrase-fd or ORGAN_KEY_PASSPHRASE");
  };
}

std::string new_passphrase(const PassphraseOptions& options) {
  if (auto given = given_passphrase(options)) return *given;
  if (!has_terminal()) return {};
  std::string passphrase = ask("passphrase for the new key (empty for none): ");
  if (!passphrase.empty() && ask("once more: ") != passphrase) {
    fail(ErrorCode::invalid_argument, "the two passphrases differ");
  }
  return passphrase;
}

}  // namespace organ::cli
