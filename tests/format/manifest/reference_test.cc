// SPDX-License-Identifier: Apache-2.0
#include "format/manifest/reference.h"

#include <doctest/doctest.h>

#include "tests/support/support.h"

namespace organ::format {
using test::error_of;

namespace {

const std::string kHex(64, 'a');

std::string parse_error(std::string_view text) {
  return error_of([&] { Reference::parse(text); });
}

}  // namespace

TEST_CASE("each form of a reference is read and written back") {
  const std::vector<std::string> texts = {"legal",        "acme/legal.v2_x-y",
                                          "legal:1.0.0",  "legal:1.0.0-rc.1+b.7",
                                          "legal@stable", "legal@sha256:" + kHex};
  for (const std::string& text : texts) {
    CAPTURE(text);
    CHECK(Reference::parse(text).to_string() == text);
  }
  CHECK(std::holds_alternative<Version>(Reference::parse("a:1.0.0").selector));
  CHECK(std::holds_alternative<Alias>(Reference::parse("a@stable").selector));
  CHECK(std::holds_alternative<Digest>(Reference::parse("a@sha256:" + kHex).selector));
  CHECK(std::holds_alternative<std::monostate>(Reference::parse("a").selector));
}

TEST_CASE("hostile references are refused as wrong arguments") {
  const std::vector<std::string> hostile = {"",
                                            ":",
                                            "@",
                                            "a:",
                                            "a@",
                                            ":1.0.0",
                                            "@stable",
                                            "a@b@c",
                                            "a:1.0.0@stable",
                                            "a@stable:1.0.0",
                                            "a:1.0.0:2.0.0",
                                            "../x",
                                            "a/../b",
                                            "a//b",
                                            "/a",
                                            "a/",
                                            ".",
                                            "..",
                                            "a..b",
                                            "-a",
                                            "a-",
                                            "a._b",
                                            "A",
                                            "a b",
                                            "a\n",
                                            std::string("a\0b", 3),
                                            "caf\xC3\xA9",
                                            "\xD0\xB0",
                                            std::string{'a', '\xE2', '\x80', '\xAE'},
                                            "a%2f",
                                            "$(x)",
                                            "a;b",
                                            "a\\b",
                                            "a@sha256",
                                            "a@sha256:",
                                            "a@sha256:" + kHex + "a",
                                            "a@sha256:" + std::string(63, 'a'),
                                            "a@sha256:" + std::string(64, 'A'),
                                            "a@sha512:" + kHex,
                                            "a@sha256-" + kHex + "/../x",
                                            "a@SHA256:" + kHex,
                                            "a@1.0.0",
                                            "a@" + std::string(129, 'a'),
                                            std::string(256, 'a'),
                                            "a:" + std::string(129, '1')};
  for (const std::string& text : hostile) {
    CAPTURE(text);
    CHECK(parse_error(text).starts_with("invalid_argument: "));
  }
}

TEST_CASE("a version that is not SemVer 2.0 is refused with the reason") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "cannot be empty"},      {"1", "three numbers"},
      {"1.0", "three numbers"},     {"1.0.0.0", "three numbers"},
      {"01.0.0", "leading zero"},   {"1.0.x", "three numbers"},
      {"1.0.0-", "is empty"},       {"1.0.0-a..b", "is empty"},
      {"1.0.0-01", "leading zero"}, {"1.0.0-a_b", "other than"},
      {"1.0.0+", "is empty"},       {"1.0.0+a+b", "other than"},
      {"v1.0.0", "three numbers"},  {"-1.0.0", "three numbers"},
      {"1.0.0 ", "three numbers"},  {"9999999999999999999.0.0", "18 digits"}};
  for (const auto& [version, reason] : cases) {
    const auto& text = version;
    CAPTURE(text);
    const std::string error = error_of([&] { Version::parse(text); });
    CHECK(error.starts_with("invalid_argument: "));
    CHECK(error.find(reason) != std::string::npos);
  }
  CHECK_NOTHROW(Version::parse("1.0.0-0a.-.x--y+001"));
}

TEST_CASE("versions are ordered as SemVer 2.0 item 11 says") {
  const std::vector<std::string> ascending = {"1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta",
                                              "1.0.0-beta",  "1.0.0-beta.2",  "1.0.0-beta.11",
                                              "1.0.0-rc.1",  "1.0.0",         "1.0.1",
                                              "1.2.0",       "1.10.0",        "2.0.0"};
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    for (std::size_t j = 0; j < ascending.size(); ++j) {
      const auto order = Version::parse(ascending[i]).precedence(Version::parse(ascending[j]));
      CHECK(order == (i <=> j));
    }
  }
  CHECK(std::is_eq(Version::parse("1.0.0+a").precedence(Version::parse("1.0.0+b"))));
  CHECK_FALSE(Version::parse("1.0.0+a") == Version::parse("1.0.0+b"));
}

TEST_CASE("an argument with a leading slash or point or an existing folder is a folder") {
  CHECK(looks_like_folder("/x"));
  CHECK(looks_like_folder("./x"));
  CHECK(looks_like_folder("../x"));
  CHECK_FALSE(looks_like_folder("acme/legal:1.0.0"));
  CHECK_FALSE(looks_like_folder("no-such-folder-here"));
}

}  // namespace organ::format
