// SPDX-License-Identifier: Apache-2.0
// JSON values as the one text that they have.
#include <algorithm>
#include <charconv>
#include <cmath>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/internal/json_numbers.h"
#include "format/base/json.h"

namespace organ {
namespace {

// ECMAScript's Number::toString, which RFC 8785 asks for.
std::string real_text(double value) {
  check(std::isfinite(value), "a real number of a document is not finite");
  if (value == 0) return "0";
  char buffer[32];
  const auto end =
      std::to_chars(buffer, buffer + sizeof buffer, std::abs(value), std::chars_format::scientific);
  const std::string_view text(buffer, static_cast<std::size_t>(end.ptr - buffer));
  const std::size_t mark = text.find('e');
  std::string digits(text.substr(0, mark));
  std::erase(digits, '.');
  int exponent = 0;  // of the first digit
  const char* number = text.data() + mark + (text[mark + 1] == '+' ? 2 : 1);
  std::from_chars(number, text.data() + text.size(), exponent);
  const int count = static_cast<int>(digits.size()), point = exponent + 1;
  constexpr int kMostDigits = 21, kMostZeros = 6;
  if (count <= point && point <= kMostDigits) {
    digits.append(static_cast<std::size_t>(point - count), '0');
  } else if (0 < point && point <= kMostDigits) {
    digits.insert(static_cast<std::size_t>(point), ".");
  } else if (-kMostZeros < point && point <= 0) {
    digits.insert(0, "0." + std::string(static_cast<std::size_t>(-point), '0'));
  } else {
    if (count > 1) digits.insert(1, ".");
    digits += fmt::format("e{:+}", exponent);
  }
  return (value < 0 ? "-" : "") + digits;
}

// Names of files may be any bytes: what is not UTF-8 in them is written as U+FFFD.
std::string dumped(const Json& value, int indent = -1) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

// Depth is bounded by what was parsed or built.
void write_with_reals(const Json& value, std::string& out) {
  if (!holds_real(value)) {
    out += dumped(value);
  } else if (value.is_number_float()) {
    out += real_text(value.get<double>());
  } else if (value.is_object()) {
    out += '{';
    for (const auto& [key, element] : value.items()) {
      if (out.back() != '{') out += ',';
      out += dumped(Json(key)) + ':';
      write_with_reals(element, out);
    }
    out += '}';
  } else {
    out += '[';
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (i > 0) out += ',';
      write_with_reals(value[i], out);
    }
    out += ']';
  }
}

}  // namespace

bool holds_real(const Json& value) {
  if (value.is_number_float()) return true;
  return value.is_structured() && std::any_of(value.begin(), value.end(), holds_real);
}

std::string canonical_json(const Json& value) {
  check(!holds_real(value), "a canonical document holds a real number");
  return dumped(value);
}

std::string canonical_json_with_reals(const Json& value) {
  std::string text;
  write_with_reals(value, text);
  return text;
}

JsonText json_text(const Json& value) {
  return JsonText::from_canonical(canonical_json_with_reals(value));
}

JsonText json_text_without_reals(const Json& value) {
  return JsonText::from_canonical(canonical_json(value));
}

Json json_of(const JsonText& text) {
  const internal::PlainNumbers plain;
  return Json::parse(text.text());
}

JsonText JsonText::parse(std::string_view text) {
  return json_text(parse_json(text, {.reals = true, .long_integers = true}, "JSON"));
}

std::string pretty_json(const Json& value) { return dumped(value, 2) + "\n"; }

}  // namespace organ
