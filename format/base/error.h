// SPDX-License-Identifier: Apache-2.0
// The one exception of organ: every function of every header throws this and, when memory runs out,
// std::bad_alloc. Functions that throw it leave no half-written file behind.
//
// Threads: where a header says nothing else, calls may run at once in any number of threads, unless
// one of them changes an object that another uses. Calls that write one model, registry or folder
// wait for one another, in other threads and processes too, or throw conflict.
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <vector>

#pragma GCC visibility push(default)

namespace organ {

// The class of an error: what a caller can act on.
enum class ErrorCode {
  invalid_argument,     // the call asked for something that cannot be
  not_found,            // a file, version, key or model that is not there
  already_exists,       // a name that is taken: nothing is ever written over
  corrupt,              // bytes that are not what they must be
  unsupported_version,  // made by a newer organ
  untrusted,            // no good signature of a key that counts
  incompatible,         // sound, but does not go together
  conflict,             // somebody else holds or changed it; trying again may help
  io,                   // the operating system refused: disk full, permissions
  cancelled,            // the caller wanted an end (Progress::cancelled, SIGINT)
  device,               // the GPU, its driver or another process of a run failed
  internal,             // a mistake of organ's own
};

std::string_view to_string(ErrorCode code);  // its name as written here

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

  // Adds "while …" to the error; rethrow with `throw;` after the call. Changes what(): pointers
  // that it gave before are no longer good.
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
