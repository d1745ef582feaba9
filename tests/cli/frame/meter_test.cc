// SPDX-License-Identifier: Apache-2.0
#include "cli/frame/meter.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "cli/frame/amounts.h"

using namespace organ;
using namespace organ::cli;

TEST_CASE("meter: phase, amount, share, rate and time left") {
  CHECK(meter_line("verifying", Unit::bytes, 1'234'000'000, 3'400'000'000, 512'300'000, 79) ==
        "verifying  1.2 GB of 3.4 GB  36 %  512.3 MB/s  0:05 left");
  CHECK(meter_line("reading the log", Unit::items, 1200, 5000, 830, 79) ==
        "reading the log  1200 of 5000  24 %  830/s  0:05 left");
}

TEST_CASE("meter: what is not known is not shown") {
  CHECK(meter_line("finishing", Unit::bytes, 5000, 0, 0, 79) == "finishing  5.0 kB");
  CHECK(meter_line("finishing", Unit::bytes, 5000, 0, 2000, 79) == "finishing  5.0 kB  2.0 kB/s");
  CHECK(meter_line("verifying", Unit::bytes, 0, 5000, 0, 79) == "verifying  0 B of 5.0 kB  0 %");
}

TEST_CASE("meter: a share is never rounded up to all of it") {
  CHECK(meter_line("w", Unit::items, 999, 1000, 0, 79) == "w  999 of 1000  99 %");
  CHECK(meter_line("w", Unit::items, 1001, 1000, 0, 79) == "w  1000 of 1000  100 %  finishing");
}

TEST_CASE("meter: all done and still at work is said, with no rate and no time left") {
  CHECK(meter_line("storing", Unit::bytes, 5000, 5000, 2000, 79) ==
        "storing  5.0 kB of 5.0 kB  100 %  finishing");
  CHECK(meter_line("storing", Unit::bytes, 4999, 5000, 2000, 79) ==
        "storing  5.0 kB of 5.0 kB  99 %  2.0 kB/s  0:01 left");
  CHECK(meter_line("storing", Unit::bytes, 0, 0, 0, 79) == "storing");
}

TEST_CASE("meter: the longest line fits 80 columns, a narrow terminal gets fewer parts") {
  const auto longest = [](std::size_t width) {
    return meter_line("finishing a change", Unit::bytes, 999'900'000'000, 9'999'900'000'000,
                      111'100'000, width);
  };
  CHECK(longest(79) == "finishing a change  999.9 GB of 10.0 TB  9 %  111.1 MB/s  22:30:09 left");
  for (std::size_t width = 0; width < 79; ++width) CHECK(longest(width).size() <= width);
  CHECK(longest(40) == "finishing a change  999.9 GB of 10.0 TB");
}

TEST_CASE("meter: a line is never wider than it may be, whatever its parts") {
  const std::vector<std::string> parts = {"loss 2.5", "1:02:03 left", "3000 tok/s"};
  CHECK(fitted_line("step 7/9", parts, 79) == "step 7/9  loss 2.5  1:02:03 left  3000 tok/s");
  CHECK(fitted_line("step 7/9", parts, std::string::npos).size() == 44);
  for (std::size_t width = 0; width < 50; ++width) {
    CHECK(fitted_line("step 7/9", parts, width).size() <= width);
  }
  CHECK(fitted_line("step 7/9", parts, 35) == "step 7/9  loss 2.5  1:02:03 left");
}

TEST_CASE("amounts: as people read them") {
  CHECK(size_text(999) == "999 B");
  CHECK(size_text(999'949) == "999.9 kB");
  CHECK(size_text(999'950) == "1.0 MB");
  CHECK(clock_text(7) == "0:07");
  CHECK(clock_text(754) == "12:34");
  CHECK(clock_text(3723) == "1:02:03");
  CHECK(perplexity_text(17.76) == "17.7600");
  CHECK(perplexity_text(1.25e63) == "1.25e+63");
}
