// SPDX-License-Identifier: Apache-2.0
// The library gives the same bytes in every locale of its host. The build makes a German locale,
// whose decimal point is a comma, and one of Pashto, whose decimal point has two bytes; without the
// sources of locales the test says that it was left out.
#include <doctest/doctest.h>

#include <locale.h>

#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>

#include <nlohmann/json.hpp>

#include "format/base/json.h"
#include "tests/support/architectures.h"
#include "tests/support/model_configs.h"
#include "tests/support/support.h"

using namespace organ;

namespace {

struct Foreign {
  const char* locale;
  const char* decimal_point;
};
constexpr Foreign kForeign[] = {{"de_DE.UTF-8", ","}, {"ps_AF.UTF-8", "\u066b"}};

class HostLocale {
 public:
  explicit HostLocale(const char* name) : set_(::setlocale(LC_ALL, name) != nullptr) {}
  ~HostLocale() { ::setlocale(LC_ALL, "C"); }
  explicit operator bool() const { return set_; }

 private:
  bool set_;
};

// What is written and signed from numbers of other people's files.
std::string everything_written() {
  std::string text;
  for (const char* name : {"Llama-3.1-8B", "Qwen3-0.6B", "GPT-OSS-20B", "BERT-base", "T5-base"}) {
    text += test::signature_of(test::model_config(name)).to_string() + "\n";
  }
  for (const double value : {0.1, -2.5e-8, 1e300, 5e-324, 1.0 / 3}) {
    text += real_to_hex(value) + " ";
    text += std::to_string(std::bit_cast<std::uint64_t>(real_from_hex(real_to_hex(value), "x")));
  }
  JsonLimits reals;
  reals.reals = true;
  text += pretty_json(parse_json(R"({"a": 1.25e-5, "b": -0.1, "c": 2.5e-999})", reals, "doc"));
  CHECK(
      test::error_of([&] { parse_json("1.5e999", reals, "doc"); }).starts_with("corrupt: 'doc': "));
  JsonLimits foreign;
  foreign.foreign = true;
  const Json numbers = parse_json(
      R"([0.1, 1.5e999, -2.5e400, NaN, 1e0, 1e000, -1e00, 1.0e00, -Infinity, 7.25e-9, 1e30, 0.3])",
      foreign, "doc");
  for (const Json& number : numbers) text += signed_real(number.get<double>()).dump() + "\n";
  return text;
}

}  // namespace

TEST_CASE("hex reals are those of printf's %a, and read back bit by bit") {
  std::mt19937_64 random(7);
  for (int i = 0; i < 100000; ++i) {
    std::uint64_t bits = random();
    if (i % 4 == 0) bits &= 0x800fffffffffffffu;  // subnormals and zeros
    const double value = std::bit_cast<double>(bits);
    if (!std::isfinite(value)) continue;
    char expected[40];
    std::snprintf(expected, sizeof expected, "%a", value);
    REQUIRE(real_to_hex(value) == expected);
    REQUIRE(std::bit_cast<std::uint64_t>(real_from_hex(expected, "x")) == bits);
  }
  for (const char* bad : {"", "-", "0x", "-0x", "0x1,8p+1", "0x1.80p+1", "0X1.8p+1", "1.8p+1",
                          "0x1.8", "0x1.8p+1 ", " 0x1.8p+1", "+0x1.8p+1", "0x2p+0", "0x1p+1024",
                          "inf", "-nan", "--0x1p+0", "0x-1p+0", "0x1.8p+1x"}) {
    CAPTURE(bad);
    CHECK(test::error_of([&] { real_from_hex(bad, "x"); }).starts_with("corrupt"));
  }
}

TEST_CASE("the same bytes under any locale of the host and from any thread") {
  const std::string plain = everything_written();
  for (const Foreign& foreign : kForeign) {
    const HostLocale locale(foreign.locale);
    if (!locale) {
      MESSAGE("left out: no ", std::string(foreign.locale), " (Debian package locales)");
      continue;
    }
    REQUIRE(std::string(::localeconv()->decimal_point) == foreign.decimal_point);
    CHECK(everything_written() == plain);
    std::string other;
    std::thread([&] { other = everything_written(); }).join();
    CHECK(other == plain);
  }
}
