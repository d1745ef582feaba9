// SPDX-License-Identifier: Apache-2.0
#include "registry/http/challenge.h"

#include <doctest/doctest.h>

#include "format/base/random.h"

using namespace organ;
using namespace organ::registry;

TEST_CASE("challenges are read as RFC 9110 writes them") {
  const auto one = parse_challenges(
      R"(Bearer realm="https://auth.example.org/token",service=registry , Scope="a b,c")");
  REQUIRE(one.size() == 1);
  CHECK(one[0].scheme == "bearer");
  CHECK(one[0].parameters.at("realm") == "https://auth.example.org/token");
  CHECK(one[0].parameters.at("service") == "registry");
  CHECK(one[0].parameters.at("scope") == "a b,c");
  const auto several = parse_challenges(
      R"(Newauth realm="apps", type=1, title="Log in to \"apps\"", Basic realm="x")");
  REQUIRE(several.size() == 2);
  CHECK(several[0].parameters.at("title") == R"(Log in to "apps")");
  CHECK(several[1].scheme == "basic");
  CHECK(parse_challenges("Basic").at(0).parameters.empty());
  CHECK(parse_challenges(R"(Bearer realm="a", realm="b")").at(0).parameters.at("realm") == "a");
}

TEST_CASE("what is no challenge ends the list") {
  for (const char* text : {"", ",,, ", "=", "\"Basic\"", "realm=x", "\x01"}) {
    CHECK_MESSAGE(parse_challenges(text).empty(), text);
  }
  CHECK(parse_challenges(R"(Bearer realm="never closed)").at(0).parameters.empty());
  CHECK(parse_challenges("Bearer realm=").at(0).parameters.empty());
}

TEST_CASE("any bytes are read to an end") {
  SplitMix64 random(7);
  const std::string alphabet = "Bb =,\"\\\t/\xff";
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (std::uint64_t n = random.below(24); n > 0; --n) {
      text += alphabet[static_cast<std::size_t>(random.below(alphabet.size()))];
    }
    CHECK(parse_challenges(text).size() <= text.size());
  }
}
