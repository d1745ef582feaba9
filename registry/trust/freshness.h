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

// The earlier end (RFC 3339 UTC, empty: none); empty only without both.
std::string earlier_end(const std::string& a, const std::string& b);

inline constexpr std::uint64_t kWarnAhead = 30 * kDay;  // the end of a key is told so long before

struct StateAge {
  std::optional<std::uint64_t> signed_at;  // seconds since 1970; an older organ wrote none
  std::uint64_t now = 0;
  std::optional<std::uint64_t> limit;  // seconds; nothing: nobody demands one
};

// What is to be said of it: one of these.
struct AgeVerdict {
  std::string established;                 // a sentence
  std::optional<format::Finding> refusal;  // untrusted: beyond the limit, or not known under one
  std::optional<format::Finding> warning;  // the same where nobody demands a limit
};
AgeVerdict judge_age(const StateAge& age, const std::string& subject);

// The end of a log key's time (RFC 3339 UTC, empty: none): a sentence when it is over, or within a
// month.
struct EndVerdict {
  std::string over, near;
};
EndVerdict judge_end(const std::string& expires, std::uint64_t now);

}  // namespace organ::registry
