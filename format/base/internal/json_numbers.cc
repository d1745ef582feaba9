// SPDX-License-Identifier: Apache-2.0
#include "format/base/internal/json_numbers.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"

namespace organ::internal {
namespace {

constexpr std::string_view kNan = "NaN", kInfinity = "Infinity", kMinusInfinity = "-Infinity";

std::optional<double> number_of(std::string_view name) {
  if (name == kNan) return std::numeric_limits<double>::quiet_NaN();
  if (name == kInfinity) return std::numeric_limits<double>::infinity();
  if (name == kMinusInfinity) return -std::numeric_limits<double>::infinity();
  return std::nullopt;
}

// -1e000: what takes the place of a number, and what a number of the document may look like too.
bool looks_like_stand_in(std::string_view token) {
  if (token.starts_with('-')) token.remove_prefix(1);
  return token.size() >= 3 && token.starts_with("1e0") &&
         token.find_first_not_of('0', 2) == std::string_view::npos;
}

// The grammar of a JSON number, of the tokens that a double cannot hold: those with an exponent or
// with very many digits.
bool is_json_number(std::string_view token) {
  constexpr std::size_t kDigitsOfDouble = 308;
  if (token.find_first_of("eE") == token.npos && token.size() <= kDigitsOfDouble) return false;
  if (token.starts_with('-')) token.remove_prefix(1);
  const std::size_t whole = std::min(token.find_first_not_of("0123456789"), token.size());
  if (whole == 0 || (token[0] == '0' && whole > 1)) return false;
  const bool point = whole < token.size() && token[whole] == '.';
  return !point || (whole + 1 < token.size() && token[whole + 1] >= '0' && token[whole + 1] <= '9');
}

// Of a number out of a double's range: beyond it, not below it. So far from 1, the place of its
// first digit says which.
bool is_large(std::string_view token) {
  if (token.starts_with('-')) token.remove_prefix(1);
  const std::size_t e = std::min(token.find_first_of("eE"), token.size());
  const std::string_view digits = token.substr(0, e);
  const auto point = static_cast<std::int64_t>(std::min(digits.find('.'), digits.size()));
  const auto first = static_cast<std::int64_t>(digits.find_first_not_of("0."));
  std::int32_t exponent = 0;
  if (e < token.size()) {
    std::string_view text = token.substr(e + 1);
    if (text.starts_with('+')) text.remove_prefix(1);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), exponent);
    if (error != std::errc()) return !text.starts_with('-');  // longer than any text is
  }
  return point - first + exponent > 0;
}

bool is_of_number(char c) {
  return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

// Beyond the end of a string that begins at `at`; the parser says what is wrong with it.
std::size_t behind_string(std::string_view text, std::size_t at) {
  for (++at; at < text.size(); ++at) {
    if (text[at] == '\\') {
      ++at;
    } else if (text[at] == '"') {
      return at + 1;
    }
  }
  return text.size();
}

}  // namespace

std::string_view name_of(double value) {
  if (std::isnan(value)) return kNan;
  return value > 0 ? kInfinity : kMinusInfinity;
}

std::optional<double> tagged_real(const Json& value) {
  if (!value.is_object() || value.size() != 1) return std::nullopt;
  const auto tag = value.find(kFloatTag);
  if (tag == value.end() || !tag->is_string()) return std::nullopt;
  return number_of(tag->get_ref<const std::string&>());
}

PlainNumbers::PlainNumbers() {
  static const locale_t plain = ::newlocale(LC_ALL_MASK, "C", nullptr);
  check(plain != nullptr, "the locale C");
  before_ = ::uselocale(plain);
}

ForeignNumbers::ForeignNumbers(std::string_view text) : text_(text) {
  for (std::size_t at = 0; at < text_.size();) {
    const char c = text_[at];
    if (c == '"') {
      at = behind_string(text_, at);
    } else if (c == 'N' || c == 'I' || (c == '-' && text_.compare(at + 1, 1, "I") == 0)) {
      at = word(at);
    } else if (c == '-' || (c >= '0' && c <= '9')) {
      at = number(at);
    } else {
      ++at;
    }
  }
}

void ForeignNumbers::stand_in(std::size_t at, std::size_t size, double value) {
  values_.push_back(value);
  const std::size_t sign = text_[at] == '-' ? 1 : 0;
  text_.replace(at + sign, size - sign, "1e" + std::string(size - sign - 2, '0'));
}

bool ForeignNumbers::stands_alone(std::size_t at, std::size_t size) const {
  constexpr std::string_view kBefore = " \t\r\n,:[", kBehind = " \t\r\n,]}";
  const std::size_t end = at + size;
  return (at == 0 || kBefore.find(text_[at - 1]) != kBefore.npos) &&
         (end == text_.size() || kBehind.find(text_[end]) != kBehind.npos);
}

std::size_t ForeignNumbers::word(std::size_t at) {
  for (const std::string_view name : {kNan, kInfinity, kMinusInfinity}) {
    if (text_.compare(at, name.size(), name) != 0 || !stands_alone(at, name.size())) continue;
    stand_in(at, name.size(), *number_of(name));
    return at + name.size();
  }
  return at + 1;
}

std::size_t ForeignNumbers::number(std::size_t at) {
  std::size_t end = at;
  while (end < text_.size() && is_of_number(text_[end])) ++end;
  const auto token = std::string_view(text_).substr(at, end - at);
  if (looks_like_stand_in(token)) {
    values_.push_back(token.front() == '-' ? -1 : 1);
  } else if (is_json_number(token) && stands_alone(at, token.size())) {
    double value = 0;
    const char* last = token.data() + token.size();
    const auto [rest, error] = std::from_chars(token.data(), last, value);
    // Too small for a double is 0 to every parser.
    if (error == std::errc::result_out_of_range && rest == last && is_large(token)) {
      const auto infinity = std::numeric_limits<double>::infinity();
      stand_in(at, token.size(), token.front() == '-' ? -infinity : infinity);
    }
  }
  return end;
}

double ForeignNumbers::value_of(std::string_view token, double parsed) {
  if (!looks_like_stand_in(token) || next_ == values_.size()) return parsed;
  return values_[next_++];
}

}  // namespace organ::internal

namespace organ {

// What printf's %a writes in the C locale, whatever the locale of the host is.
std::string real_to_hex(double value) {
  check(std::isfinite(value), "a real number of a document is not finite");
  char buffer[40];
  const auto end =
      std::to_chars(buffer, std::end(buffer), std::fabs(value), std::chars_format::hex);
  return (std::signbit(value) ? "-0x" : "0x") + std::string(buffer, end.ptr);
}

double real_from_hex(std::string_view text, std::string_view subject) {
  std::string_view digits = text;
  const bool negative = digits.starts_with('-');
  if (negative) digits.remove_prefix(1);
  double value = 0;
  if (digits.starts_with("0x")) {
    const char* begin = digits.data() + 2;
    std::from_chars(begin, digits.data() + digits.size(), value, std::chars_format::hex);
  }
  if (negative) value = -value;
  // One spelling per number: what real_to_hex writes. Digits that are none leave 0.
  if (!std::isfinite(value) || real_to_hex(value) != text) {
    fail(ErrorCode::corrupt, "{}: expected a hex float such as 0x1.8p+1, got {}", subject,
         quote(text));
  }
  return value;
}

Json signed_real(double value) {
  if (std::isfinite(value)) return real_to_hex(value);
  return {{internal::kFloatTag, internal::name_of(value)}};
}

}  // namespace organ
