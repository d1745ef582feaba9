// SPDX-License-Identifier: Apache-2.0
// Numbers as command lines write them.
#pragma once

#include <charconv>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>

#include "format/base/fail.h"

namespace organ::cli {

// Whether `text` is decimal digits, perhaps behind a minus sign.
inline bool is_whole_number(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() && text.find_first_not_of("0123456789") == text.npos;
}

// The value of an option's or argument's text. Throws invalid_argument, naming it, for text that is
// no number, and for one that T does not hold: below 0 where it has no sign.
// T is an integer or floating-point type. The whole text counts, as std::from_chars reads it:
// decimal, no sign but a minus, no space; of a real number also exponents, inf and nan, as a range
// check must expect.
template <typename T>
T parse_number(std::string_view name, std::string_view text) {
  constexpr bool kWhole = std::is_integral_v<T>;
  T value{};
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc() && stopped == end) return value;
  if (kWhole && std::is_unsigned_v<T> && is_whole_number(text) && text.starts_with('-')) {
    fail(ErrorCode::invalid_argument, "{}: {} is out of range, expected 0 or more", name, text);
  }
  if (!kWhole && error == std::errc::result_out_of_range) {
    fail(ErrorCode::invalid_argument, "{}: {} is out of range", name, escape_text(text));
  }
  if (kWhole && is_whole_number(text)) {
    fail(ErrorCode::invalid_argument, "{}: {} is out of range, expected {} to {}", name,
         escape_text(text), std::numeric_limits<T>::lowest(), std::numeric_limits<T>::max());
  }
  fail(ErrorCode::invalid_argument, "{}: {} is no {}number", name, quote(text),
       kWhole ? "whole " : "");
}

// The same for a whole number from `low` to `high`.
// Both ends are included, and a number that 64 bits do not hold is out of this range too.
inline std::int64_t number_within(std::string_view name, std::string_view text, std::int64_t low,
                                  std::int64_t high) {
  std::int64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (!is_whole_number(text)) return parse_number<std::int64_t>(name, text);
  if (error == std::errc() && stopped == end && value >= low && value <= high) return value;
  fail(ErrorCode::invalid_argument, "{}: {} is out of range, expected {} to {}", name,
       escape_text(text), low, high);
}

}  // namespace organ::cli
