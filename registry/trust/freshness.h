// SPDX-License-Identifier: Apache-2.0
// How old the state is that a registry shows. A log proves its history without any clock; whether a
// newer one is held back ("freeze") only the time of its newest checkpoint can tell.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "format/base/finding.h"
#include "registry/log/moment.h"

namespace organ::registry {

// The smaller limit; nothing only without both.
std::optional<std::uint64_t> stricter_limit(std::optional<std::uint64_t> a,
                                            std::optional<std::uint64_t> b);

// The earlier end (RFC 3339 UTC, empty: none); empty only without both. Compared as texts, which
// have the order of their times in the form that organ writes.
std::string earlier_end(const std::string& a, const std::string& b);

inline constexpr std::uint64_t kWarnAhead = 30 * kDay;  // the end of a key is told so long before

// What is known of the age of a state.
struct StateAge {
  std::optional<std::uint64_t> signed_at;  // seconds since 1970; an older organ wrote none
  std::uint64_t now = 0;                   // seconds since 1970, by this machine's clock
  std::optional<std::uint64_t> limit;      // seconds; nothing: nobody demands one
};

// What is to be said of it: one of these; the others are empty.
struct AgeVerdict {
  std::string established;                 // a sentence
  std::optional<format::Finding> refusal;  // untrusted: beyond the limit, or not known under one
  std::optional<format::Finding> warning;  // the same where nobody demands a limit
};
// Where nobody demands a limit, 30 days are enough for a warning. A time more than a day to come is
// no known age. `subject` is that of the finding.
AgeVerdict judge_age(const StateAge& age, const std::string& subject);

// The end of a log key's time (RFC 3339 UTC, empty: none): a sentence when it is over, or when
// kWarnAhead or less is left. One of the two at most.
struct EndVerdict {
  std::string over, near;
};
// `now` in seconds since 1970. A text that is no such time has no end.
EndVerdict judge_end(const std::string& expires, std::uint64_t now);

}  // namespace organ::registry
