// SPDX-License-Identifier: Apache-2.0
// How organ's own code throws Error: formatted messages, text made safe to show, checked
// arithmetic. Not for a host, whose own functions may have these names.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "format/base/error.h"

namespace organ {

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

// Text from files, servers, arguments for people, safe on a terminal and in one line: invalid UTF-8
// and what is not drawn or moves what is (controls, …) become \xNN or \u{NNNN}, a backslash stays;
// longer than `limit` bytes is cut and marked with "…".
std::string escape_text(std::string_view text, std::size_t limit = 512);

// The escaped text in single quotes.
std::string quote(std::string_view text);

// The one of `names` that somebody meant who wrote `word`: the only one that starts like it, else
// the one that fewest changes make of it, at most one for three letters.
std::optional<std::string> nearest_name(const std::vector<std::string>& names,
                                        std::string_view word);
// The hint "did you mean 'X'?"; where nothing is near, `otherwise`.
std::string meant_hint(const std::optional<std::string>& meant, std::string otherwise);

// "1 entry", "0 entries", "3 layers", "2 hashes": the number and the noun (given as one), for
// people.
std::string counted(std::uint64_t number, std::string_view noun);

// A rate or a share for people: whole from 10 on, below that two digits at most, so that what is
// slow is no zero: 123, 9.5, 0.21.
std::string rate_text(double value);

// Arithmetic on numbers that came from a file. `subject` names the number in the corrupt Error
// thrown on overflow.
std::uint64_t checked_add(std::uint64_t a, std::uint64_t b, std::string_view subject);
std::uint64_t checked_mul(std::uint64_t a, std::uint64_t b, std::string_view subject);

}  // namespace organ
