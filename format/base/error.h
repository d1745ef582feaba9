// SPDX-License-Identifier: Apache-2.0
// The one exception of organ.
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <vector>

#pragma GCC visibility push(default)

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

// The exit code of a program that ends with this error: 2 usage, 3 incompatible, 4 corrupt,
// 5 untrusted, 6 not found, 7 locked, 130 interrupted, 1 everything else.
int exit_code(ErrorCode code);

// An operation that could not be done. The message is one line in lower case without a full
// stop: `subject: what was wrong, expected X, got Y`; untrusted text in it is escaped by the
// thrower. The hint is a second line that says what to do. Context lines are added
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

}  // namespace organ

#pragma GCC visibility pop
