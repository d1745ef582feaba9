// SPDX-License-Identifier: Apache-2.0
#include "registry/log/moment.h"

#include <algorithm>
#include <charconv>
#include <chrono>

#include "format/base/fail.h"
#include "format/manifest/manifest.h"

namespace organ::registry {
namespace {

struct SpanUnit {
  char letter;
  std::uint64_t seconds;
  const char* name;
};
constexpr SpanUnit kUnits[] = {{'w', 7 * kDay, "weeks"},
                               {'d', kDay, "days"},
                               {'h', 3600, "hours"},
                               {'m', 60, "minutes"},
                               {'s', 1, "seconds"}};

// A whole text of digits.
std::optional<std::uint64_t> parse_digits(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// The digits of `text` where the pattern has a letter; everything else must be what it has.
bool fits(std::string_view text, std::string_view pattern) {
  if (text.size() != pattern.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    if (pattern[i] == 'n' ? !digit : text[i] != pattern[i]) return false;
  }
  return true;
}

std::uint64_t number_at(std::string_view text, std::size_t at, std::size_t length) {
  return *parse_digits(text.substr(at, length));
}

}  // namespace

std::optional<std::uint64_t> parse_moment(std::string_view text) {
  using namespace std::chrono;
  if (!fits(text, "nnnn-nn-nnTnn:nn:nnZ")) return std::nullopt;
  const year_month_day date(year(static_cast<int>(number_at(text, 0, 4))),
                            month(static_cast<unsigned>(number_at(text, 5, 2))),
                            day(static_cast<unsigned>(number_at(text, 8, 2))));
  const std::uint64_t hour = number_at(text, 11, 2), minute = number_at(text, 14, 2),
                      second = number_at(text, 17, 2);
  if (!date.ok() || date.year() < year(1970) || hour > 23 || minute > 59 || second > 59) {
    return std::nullopt;
  }
  const auto days_since = static_cast<std::uint64_t>(sys_days(date).time_since_epoch().count());
  return days_since * kDay + hour * 3600 + minute * 60 + second;
}

std::optional<std::uint64_t> parse_day_or_moment(std::string_view text) {
  if (fits(text, "nnnn-nn-nn")) return parse_moment(std::string(text) + "T00:00:00Z");
  return parse_moment(text);
}

std::string moment_text(std::uint64_t since_1970) {
  constexpr std::uint64_t kLast = 253402300799;  // 9999-12-31T23:59:59Z
  return format::time_text(static_cast<std::int64_t>(std::min(since_1970, kLast)));
}

std::optional<std::uint64_t> parse_span(std::string_view text) {
  if (text.empty()) return std::nullopt;
  const auto number = parse_digits(text.substr(0, text.size() - 1));
  for (const SpanUnit& unit : kUnits) {
    if (text.back() != unit.letter || !number || *number == 0) continue;
    if (*number > kLongestSpan / unit.seconds) return std::nullopt;
    return *number * unit.seconds;
  }
  return std::nullopt;
}

std::string span_text(std::uint64_t seconds) {
  for (const SpanUnit& unit : kUnits) {
    if (unit.letter != 'w' && seconds >= 2 * unit.seconds) {
      return fmt::format("{} {}", seconds / unit.seconds, unit.name);
    }
  }
  return seconds == 1 ? "1 second" : "no time";
}

}  // namespace organ::registry
