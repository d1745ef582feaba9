// SPDX-License-Identifier: Apache-2.0
#include "cli/frame/internal/spinning.h"

#include <doctest/doctest.h>

#include <string>

using namespace organ::cli;

namespace {

std::string pressure(const std::string& percent) {
  return "some avg10=" + percent + " avg60=83.94 avg300=41.27 total=7916954575\n" +
         "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
}

}  // namespace

TEST_CASE("what the kernel says of waiting for a processor is read") {
  CHECK(processor_pressure(pressure("0.00")) == 0.0);
  CHECK(processor_pressure(pressure("97.02")) == 97.02);
  for (const char* other : {"", "some", "some avg10=", "some avg10=x", "full avg10=1.00 avg60=0"}) {
    CAPTURE(other);
    CHECK_FALSE(processor_pressure(other));
  }
}

TEST_CASE("threads spin long on an idle machine alone, and only for one process") {
  CHECK(spin_count(pressure("0.55"), false) == std::nullopt);
  CHECK(spin_count(pressure("9.99"), false) == std::nullopt);
  CHECK(spin_count(pressure("10.00"), false) == kBusySpinCount);
  CHECK(spin_count(pressure("97.02"), false) == kBusySpinCount);
  CHECK(spin_count(pressure("0.55"), true) == kBusySpinCount);
  CHECK(spin_count("", false) == kBusySpinCount);
}
