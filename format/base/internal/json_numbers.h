// SPDX-License-Identifier: Apache-2.0
// Numbers that Python's json module reads and JSON does not have.
#pragma once

#include <locale.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/json.h"

namespace organ::internal {

// The one key of the object that transformers 5 writes for such a number.
inline constexpr std::string_view kFloatTag = "__float__";

// NaN, Infinity or -Infinity, of a number that is not finite.
std::string_view name_of(double value);

// {"__float__": "Infinity"} as a number; nullopt for every other value.
std::optional<double> tagged_real(const Json& value);

// The parser asks the locale for the decimal point: while this lives, this thread's is that of C.
// Made and destroyed on one thread.
class PlainNumbers {
 public:
  PlainNumbers();
  ~PlainNumbers() { ::uselocale(before_); }
  PlainNumbers(const PlainNumbers&) = delete;
  PlainNumbers& operator=(const PlainNumbers&) = delete;

 private:
  locale_t before_;
};

// A text whose bare NaN and Infinity and numbers beyond a double stand as numbers of equal length
// that a JSON parser takes; what they were is told in document order.
class ForeignNumbers {
 public:
  explicit ForeignNumbers(std::string_view text);

  const std::string& text() const { return text_; }
  // The value of the next real number of the text, which the parser read as `parsed` from `token`.
  // Ask for each one, in document order.
  double value_of(std::string_view token, double parsed);

 private:
  // The token of `size` bytes at `at` becomes a stand-in for `value`.
  void stand_in(std::size_t at, std::size_t size, double value);
  bool stands_alone(std::size_t at, std::size_t size) const;
  // Each reads one token and gives the place behind it.
  std::size_t word(std::size_t at);
  std::size_t number(std::size_t at);

  std::string text_;
  std::vector<double> values_;  // of the tokens that look like stand-ins
  std::size_t next_ = 0;
};

}  // namespace organ::internal
