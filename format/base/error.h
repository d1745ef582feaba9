// SPDX-License-Identifier: Apache-2.0
// The one exception of organ and the checked arithmetic every reader uses.
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/core.h>

namespace organ {

enum class ErrorCode {
  invalid_argument,
  not_found,
  already_exists,
  corrupt,
  unsupported_version,
  untrusted,
  incompatible,
  conflict,
  io,
  cancelled,
  device,
  internal,
};

std::string_view to_string(ErrorCode code);

// The process exit code of an error class (DESIGN 8): 2 usage, 3 incompatible, 4 corrupt,
// 5 untrusted, 6 not found, 7 locked, 130 interrupted, 1 everything else.
int exit_code(ErrorCode code);

// An operation that could not be done. The message is one line in lower case without a full
// stop: `subject: what was wrong, expected X, got Y`; untrusted text in it is escaped by the
// thrower (escape_text). The hint is a second line that says what to do. Context lines are added
// while unwinding, innermost first.
class Error : public std::exception {
 public:
  Error(ErrorCode code, std::string message, std::string hint = {});

  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }
  const std::string& hint() const { return hint_; }
  const std::vector<std::string>& context() const { return context_; }

  // Adds "while …" to the error; rethrow with `throw;` after the call.
  Error& with_context(std::string context);

  // message, then " (while …)" for each context. Without the hint.
  const char* what() const noexcept override { return what_.c_str(); }

 private:
  ErrorCode code_;
  std::string message_;
  std::string hint_;
  std::vector<std::string> context_;
  std::string what_;
};

// Throws Error with a formatted message.
template <typename... Args>
[[noreturn]] void fail(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

// Throws an io Error "SUBJECT: ACTION failed: <strerror>" from the current errno; ENOENT becomes
// not_found.
[[noreturn]] void fail_errno(std::string_view subject, std::string_view action);

// For our own bugs only, never for input: throws internal.
void check(bool condition, std::string_view what);

// Text from files, servers and arguments, made safe for a terminal and for one line: control
// characters, invalid UTF-8, C1 and bidirectional controls are written as \xNN or \u{NNNN};
// longer than `limit` bytes is cut and marked with "…".
std::string escape_text(std::string_view text, std::size_t limit = 512);

// The escaped text in single quotes.
std::string quote(std::string_view text);

// Arithmetic on numbers that came from a file. `subject` names the number in the corrupt Error
// thrown on overflow.
std::uint64_t checked_add(std::uint64_t a, std::uint64_t b, std::string_view subject);
std::uint64_t checked_mul(std::uint64_t a, std::uint64_t b, std::string_view subject);

}  // namespace organ
