// SPDX-License-Identifier: Apache-2.0
#include "train/machine/software.h"

#include <cstdlib>

#include <doctest/doctest.h>

namespace organ::train {

TEST_CASE("what computes is recorded with the instruction set that it computes with") {
  const auto plain = software_versions(Device{});
  REQUIRE(plain.contains("cpu"));
  CHECK_FALSE(plain.at("cpu").empty());
  CHECK_FALSE(plain.contains("device"));
  REQUIRE(::setenv("MKL_CBWR", "COMPATIBLE", 1) == 0);
  const auto other = software_versions(Device{});
  CHECK(::unsetenv("MKL_CBWR") == 0);
  CHECK(other.at("cpu") == plain.at("cpu") + " MKL_CBWR=COMPATIBLE");
  CHECK_FALSE(same_software(plain, other));
  CHECK(same_software(plain, software_versions(Device{})));
}

TEST_CASE("an organ of before did not say which instruction set it was") {
  const std::map<std::string, std::string> before = {{"organ", "0.1.0"}, {"torch", "2.11.0"}};
  auto now = before;
  now["cpu"] = "AVX2";
  CHECK(same_software(before, now));
  now["torch"] = "2.12.0";
  CHECK_FALSE(same_software(before, now));
  CHECK_FALSE(same_software(now, before));
}

}  // namespace organ::train
