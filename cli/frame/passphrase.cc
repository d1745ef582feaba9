// SPDX-License-Identifier: Apache-2.0
#include "cli/frame/passphrase.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <limits>

#include "cli/frame/command.h"
#include "cli/frame/internal/number.h"
#include "cli/frame/internal/question.h"
#include "format/base/fail.h"
#include "format/base/file.h"

namespace organ::cli {
namespace {

constexpr std::size_t kMostBytes = 1024;
constexpr const char* kVariable = "ORGAN_KEY_PASSPHRASE";

// A source that was named and gives nothing is no wish for a key without a passphrase.
std::string required_passphrase(std::string text, const std::string& source) {
  if (!text.empty()) return text;
  throw Error(ErrorCode::invalid_argument, source + ": holds no passphrase",
              "its first line is empty; without any source a new key is not encrypted");
}

// The first line, without its end, of what can be read.
std::string read_passphrase(int fd, const std::string& source) {
  std::string line;
  char byte = 0;
  for (;;) {
    const ssize_t got = ::read(fd, &byte, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_errno(source, "read");
    if (got == 0 || byte == '\n') break;
    if (line.size() > kMostBytes) {
      fail(ErrorCode::invalid_argument, "{}: its first line is longer than {} bytes", source,
           kMostBytes);
    }
    line += byte;
  }
  return required_passphrase(line.substr(0, line.find('\r')), source);
}

// Everything but the terminal.
std::optional<std::string> given_passphrase(const PassphraseOptions& options) {
  if (options.file) {
    const UniqueFd fd = open_regular(*options.file);
    return read_passphrase(fd.get(), "--passphrase-file " + quote(options.file->string()));
  }
  if (options.fd)
    return read_passphrase(*options.fd, fmt::format("--passphrase-fd {}", *options.fd));
  if (const char* text = std::getenv(kVariable)) return required_passphrase(text, kVariable);
  return std::nullopt;
}

}  // namespace

void add_passphrase_options(Command& command, PassphraseOptions& options) {
  const Option file =
      command.add_path("--passphrase-file", options.file,
                       "file whose first line is the passphrase of the private key [default: "
                       "$ORGAN_KEY_PASSPHRASE, else a terminal is asked]");
  // Looked at before anything is opened, which could get this number.
  const auto receive = [&options](const std::string& text) {
    constexpr int kHighest = std::numeric_limits<int>::max();
    const std::string name = "--passphrase-fd";
    options.fd = static_cast<int>(number_within(name, text, 0, kHighest));
    if (::fcntl(*options.fd, F_GETFD) == -1) fail_errno(name + " " + text, "read");
  };
  command.add_parsed_option("--passphrase-fd", receive, "the same from an open file descriptor")
      .value_name("N")
      .excludes(file);
  file.value_name("FILE");
}

format::PassphraseSource passphrase_source(const PassphraseOptions& options) {
  return [options]() -> std::string {
    if (auto given = given_passphrase(options)) return *given;
    if (can_ask()) return ask_in_secret("passphrase of the private key: ");
    throw Error(ErrorCode::invalid_argument,
                "the private key is encrypted and no passphrase is given",
                "use --passphrase-file, --passphrase-fd or ORGAN_KEY_PASSPHRASE");
  };
}

std::string new_passphrase(const PassphraseOptions& options) {
  if (auto given = given_passphrase(options)) return *given;
  if (!can_ask()) return {};
  std::string passphrase = ask_in_secret("passphrase for the new key (empty for none): ");
  if (!passphrase.empty() && ask_in_secret("once more: ") != passphrase) {
    fail(ErrorCode::invalid_argument, "the two passphrases differ");
  }
  return passphrase;
}

}  // namespace organ::cli
