// SPDX-License-Identifier: Apache-2.0
#include "registry/trust/freshness.h"

#include <algorithm>

#include "format/base/fail.h"

namespace organ::registry {
namespace {

constexpr std::uint64_t kUsualLimit = 30 * kDay;  // warned of where nobody demands another
constexpr std::uint64_t kClockSkew = kDay;        // clocks of two machines may differ so much

// Why its age is too high, or cannot be told; empty: neither.
std::string complaint(const StateAge& age, std::uint64_t limit) {
  if (!age.signed_at) {
    return "its checkpoint does not say when it was signed, so a newer state may be held back "
           "unnoticed";
  }
  const std::string moment = moment_text(*age.signed_at);
  if (*age.signed_at > age.now + kClockSkew) {
    return fmt::format(
        "its checkpoint was signed at {}, which is yet to come: one of the clocks "
        "is wrong",
        moment);
  }
  const std::uint64_t seconds = age.now - std::min(age.now, *age.signed_at);
  if (seconds <= limit) return {};
  return fmt::format(
      "its newest state was signed {} ago ({}), more than {}: a newer one may be "
      "held back",
      span_text(seconds), moment, span_text(limit));
}

}  // namespace

std::optional<std::uint64_t> stricter_limit(std::optional<std::uint64_t> a,
                                            std::optional<std::uint64_t> b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

std::string earlier_end(const std::string& a, const std::string& b) {
  if (a.empty() || b.empty()) return a.empty() ? b : a;
  return std::min(a, b);  // in the order of their texts
}

AgeVerdict judge_age(const StateAge& age, const std::string& subject) {
  const std::string why = complaint(age, age.limit.value_or(kUsualLimit));
  AgeVerdict verdict;
  if (why.empty()) {
    verdict.established =
        fmt::format("the registry's newest state was signed at {}", moment_text(*age.signed_at));
  } else {
    const format::Finding finding{ErrorCode::untrusted, subject, "freeze: " + why};
    (age.limit ? verdict.refusal : verdict.warning) = finding;
  }
  return verdict;
}

EndVerdict judge_end(const std::string& expires, std::uint64_t now) {
  const auto end = parse_moment(expires);
  EndVerdict verdict;
  if (!end) return verdict;
  if (now >= *end) {
    verdict.over = fmt::format("expired: its log key counted until {}", expires);
  } else if (*end - now <= kWarnAhead) {
    verdict.near =
        fmt::format("its log key counts until {}, for {} more", expires, span_text(*end - now));
  }
  return verdict;
}

}  // namespace organ::registry
