// SPDX-License-Identifier: Apache-2.0
// Moments and spans of time as documents and people write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace organ::registry {

inline constexpr std::uint64_t kDay = 24 * 60 * 60;              // seconds
inline constexpr std::uint64_t kLongestSpan = 100 * 366 * kDay;  // nobody means more

// Seconds since 1970 of exactly YYYY-MM-DDTHH:MM:SSZ, from 1970 to 9999; nothing for other texts.
std::optional<std::uint64_t> parse_moment(std::string_view text);
// The same of a day alone, which means its first second.
std::optional<std::uint64_t> parse_day_or_moment(std::string_view text);

// RFC 3339 UTC; what lies beyond 9999 as its last second.
std::string moment_text(std::uint64_t since_1970);

// Seconds of a number and s, m, h, d or w (30d), 1 s to kLongestSpan; nothing for other texts.
std::optional<std::uint64_t> parse_span(std::string_view text);
// The largest unit that is there twice: "45 days", "3 hours".
std::string span_text(std::uint64_t seconds);

}  // namespace organ::registry
