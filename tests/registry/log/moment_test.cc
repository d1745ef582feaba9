// SPDX-License-Identifier: Apache-2.0
#include "registry/log/moment.h"

#include <doctest/doctest.h>

using namespace organ::registry;

TEST_CASE("moment: RFC 3339 texts and seconds") {
  CHECK(parse_moment("1970-01-01T00:00:00Z") == 0);
  CHECK(parse_moment("2023-11-14T22:13:20Z") == 1700000000);
  CHECK(parse_moment("9999-12-31T23:59:59Z") == 253402300799);
  CHECK(parse_day_or_moment("2024-02-29") == 1709164800);
  for (const std::uint64_t seconds : {0ul, 951782400ul, 1700000000ul, 253402300799ul}) {
    CHECK(parse_moment(moment_text(seconds)) == seconds);
  }
  CHECK(moment_text(UINT64_MAX) == "9999-12-31T23:59:59Z");
}

TEST_CASE("moment: what is none") {
  for (const char* text :
       {"", "2023-02-29T00:00:00Z", "2023-13-01T00:00:00Z", "2023-00-10T00:00:00Z",
        "2023-01-01T24:00:00Z", "2023-01-01T00:60:00Z", "2023-01-01T00:00:60Z",
        "2023-01-01 00:00:00Z", "2023-01-01T00:00:00", "2023-01-01T00:00:00+00:00",
        "1969-12-31T23:59:59Z", "2023-1-01T00:00:00Z", "20230101T000000Z", "2023-01-01T00:00:00Zx",
        "-023-01-01T00:00:00Z"}) {
    CAPTURE(text);
    CHECK(parse_moment(text) == std::nullopt);
  }
  CHECK(parse_day_or_moment("2023-02-30") == std::nullopt);
}

TEST_CASE("moment: spans") {
  CHECK(parse_span("1s") == 1);
  CHECK(parse_span("90m") == 5400);
  CHECK(parse_span("30d") == 30 * kDay);
  CHECK(parse_span("2w") == 14 * kDay);
  CHECK(parse_span("36600d") == kLongestSpan);
  for (const char* text : {"", "d", "0d", "-1d", "+1d", "1", "1y", "1 d", "1D", "36601d", "1.5d",
                           "99999999999999999999d", "18446744073709551615s"}) {
    CAPTURE(text);
    CHECK(parse_span(text) == std::nullopt);
  }
  CHECK(span_text(0) == "no time");
  CHECK(span_text(1) == "1 second");
  CHECK(span_text(119) == "119 seconds");
  CHECK(span_text(120) == "2 minutes");
  CHECK(span_text(2 * kDay - 1) == "47 hours");
  CHECK(span_text(45 * kDay) == "45 days");
}
