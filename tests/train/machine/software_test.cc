// SPDX-License-Identifier: Apache-2.0
#include "train/machine/software.h"

#include <cstdlib>
#include <string>

#include <doctest/doctest.h>

#include "format/base/error.h"

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

TEST_CASE("the LibTorch that is loaded says its version, and another one is refused") {
  const std::string own = torch_version();
  CHECK(software_versions(Device{}).at("torch") == own);
  CHECK(torch_version_in("PERF_WITH_AVX2=1, TORCH_VERSION=" + own + ", USE_CUDA=ON, ") == own);
  for (const std::string& config :
       {std::string(" TORCH_VERSION=1.0.0, "), " TORCH_VERSION=" + own + "1, ",
        " TORCH_VERSION=" + own.substr(0, own.size() - 1), std::string(" TORCH_VERSION="),
        std::string("USE_CUDA=ON, "), std::string()}) {
    CHECK_THROWS_AS(torch_version_in(config), Error);
  }
}

TEST_CASE("a variable that makes the libraries compute otherwise changes what is said") {
  const auto plain = software_versions(Device{});
  const std::string lines = software_lines(Device{});
  CHECK(lines == software_lines(Device{}));
  for (const char* name : {"ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS",
                           "ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE"}) {
    CAPTURE(name);
    REQUIRE(::setenv(name, "AVX2", 1) == 0);
    CHECK_FALSE(same_software(plain, software_versions(Device{})));
    CHECK(software_lines(Device{}) != lines);
    CHECK(::unsetenv(name) == 0);
  }
}

TEST_CASE("libraries and processor are said; one of another kind computes otherwise") {
  const auto plain = software_versions(Device{});
  CHECK(plain.at("libraries").starts_with("LibTorch "));
  CHECK(plain.at("processor").find("caches ") != std::string::npos);
  for (const char* name : {"libraries", "processor"}) {
    auto other = plain;
    other[name] += " more";
    CHECK_FALSE(same_software(other, plain));
    other.erase(name);  // a record of before
    CHECK(same_software(other, plain));
  }
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
