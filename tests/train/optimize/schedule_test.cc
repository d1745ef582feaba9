// SPDX-License-Identifier: Apache-2.0
#include "train/optimize/schedule.h"

#include <doctest/doctest.h>

namespace organ::train {

TEST_CASE("the warm-up rises linearly from zero") {
  const Schedule schedule{ScheduleKind::cosine, 1e-3, 4, 20};
  CHECK(schedule.at(0) == 0.0);
  CHECK(schedule.at(1) == doctest::Approx(0.25e-3));
  CHECK(schedule.at(4) == doctest::Approx(1e-3));
}

TEST_CASE("cosine halves the rate in the middle and ends at zero") {
  const Schedule schedule{ScheduleKind::cosine, 1e-3, 4, 20};
  CHECK(schedule.at(12) == doctest::Approx(0.5e-3));
  CHECK(schedule.at(8) == doctest::Approx(0.85355339e-3));  // (1 + cos(pi / 4)) / 2
  CHECK(schedule.at(20) == doctest::Approx(0.0));
  CHECK(schedule.at(25) == doctest::Approx(0.0));
}

TEST_CASE("linear and constant follow their formula") {
  CHECK(Schedule{ScheduleKind::linear, 2.0, 0, 10}.at(5) == doctest::Approx(1.0));
  CHECK(Schedule{ScheduleKind::constant, 2.0, 2, 10}.at(9) == 2.0);
}

TEST_CASE("a share of warm-up is rounded up to whole steps") {
  CHECK(warmup_steps(0.1, 95) == 10);
  CHECK(warmup_steps(0.0, 95) == 0);
}

TEST_CASE("schedule names are read back and others refused") {
  for (const auto kind : {ScheduleKind::cosine, ScheduleKind::linear, ScheduleKind::constant}) {
    CHECK(parse_schedule(to_string(kind)) == kind);
  }
  CHECK_FALSE(parse_schedule("Cosine"));
}

}  // namespace organ::train
