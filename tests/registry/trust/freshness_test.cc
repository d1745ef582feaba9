// SPDX-License-Identifier: Apache-2.0
#include "registry/trust/freshness.h"

#include <doctest/doctest.h>

#include "registry/log/moment.h"

using namespace organ;
using namespace organ::registry;

namespace {

constexpr std::uint64_t kNow = 1700000000;

std::string message(const std::optional<format::Finding>& finding) {
  return finding ? finding->message : "nothing";
}

// What is said of a state signed so long ago.
AgeVerdict judge(std::optional<std::uint64_t> ago, std::optional<std::uint64_t> limit) {
  std::optional<std::uint64_t> signed_at;
  if (ago) signed_at = kNow - *ago;
  return judge_age({.signed_at = signed_at, .now = kNow, .limit = limit}, "registry");
}

}  // namespace

TEST_CASE("freshness: within the limit it is established, one second more is refused") {
  const AgeVerdict good = judge(10 * kDay, 10 * kDay);
  CHECK(good.established == "the registry's newest state was signed at 2023-11-04T22:13:20Z");
  CHECK(!good.refusal);
  CHECK(!good.warning);
  const AgeVerdict old = judge(10 * kDay + 1, 10 * kDay);
  CHECK(old.established.empty());
  CHECK(message(old.refusal) ==
        "freeze: its newest state was signed 10 days ago (2023-11-04T22:13:19Z), more than 10 "
        "days: a newer one may be held back");
  REQUIRE(old.refusal);
  CHECK(old.refusal->code == ErrorCode::untrusted);
}

TEST_CASE("freshness: where nobody demands a limit, thirty days are warned of") {
  CHECK(!judge(30 * kDay, {}).warning);
  CHECK(
      message(judge(31 * kDay, {}).warning).starts_with("freeze: its newest state was signed 31"));
  CHECK(!judge(31 * kDay, {}).refusal);
}

TEST_CASE("freshness: a state without a time is refused where one is demanded") {
  CHECK(message(judge({}, kDay).refusal).starts_with("freeze: its checkpoint does not say"));
  CHECK(message(judge({}, {}).warning).starts_with("freeze: its checkpoint does not say"));
}

TEST_CASE("freshness: a time to come is none, but for clocks that differ") {
  const auto at = [](std::uint64_t time) {
    return judge_age({.signed_at = time, .now = kNow, .limit = kDay}, "registry");
  };
  CHECK(!at(kNow + kDay).refusal);
  CHECK(message(at(kNow + kDay + 1).refusal).find("yet to come") != std::string::npos);
  CHECK(message(at(INT64_MAX).refusal).find("9999-12-31T23:59:59Z") != std::string::npos);
}

TEST_CASE("freshness: of two limits the smaller one") {
  CHECK(stricter_limit({}, {}) == std::nullopt);
  CHECK(stricter_limit(5, {}) == 5);
  CHECK(stricter_limit({}, 5) == 5);
  CHECK(stricter_limit(7, 5) == 5);
}
