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
  const std::vector<std::string> texts = {
      "legal",        "acme/legal.v2_x-y",    "legal:1.0.0", "legal:1.0.0-rc.1+b.7",
      "legal@stable", "legal@sha256:" + kHex, "legal@^1.2",  "legal@>=1.0 <2.0 || 3.x"};
  for (const std::string& text : texts) {
    CAPTURE(text);
    CHECK(Reference::parse(text).to_string() == text);
  }
  CHECK(std::holds_alternative<Version>(Reference::parse("a:1.0.0").selector));
  CHECK(std::holds_alternative<Alias>(Reference::parse("a@stable").selector));
  CHECK(std::holds_alternative<Digest>(Reference::parse("a@sha256:" + kHex).selector));
  CHECK(std::holds_alternative<std::monostate>(Reference::parse("a").selector));
  for (const char* range : {"^1.2", "~1", ">=1.0 <2.0", "1.x", "1", "1.2", "x", "*", "=1.0.0"}) {
    CAPTURE(range);
    const Reference reference = Reference::parse("a@" + std::string(range));
    REQUIRE(std::holds_alternative<VersionRange>(reference.selector));
    CHECK(std::get<VersionRange>(reference.selector).to_string() == range);
  }
  for (const char* alias : {"v1", "x1", "1a", "lts.1.2", "1.2.3.4", "x.y"}) {
    CAPTURE(alias);
    CHECK(std::holds_alternative<Alias>(Reference::parse("a@" + std::string(alias)).selector));
  }
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
                                            "a@1.0.0-rc.1",
                                            "a@^",
                                            "a@^1.2.3.4",
                                            "a@>=1.0 <",
                                            "a@1.x ||",
                                            "a@^1.0\n",
                                            "a@^stable",
                                            "a@ ",
                                            "a@^" + std::string(256, '1'),
                                            "a@" + std::string(129, 'a'),
                                            std::string(256, 'a'),
                                            "a:" + std::string(129, '1')};
  for (const std::string& text : hostile) {
    CAPTURE(text);
    CHECK(parse_error(text).starts_with("invalid_argument: "));
  }
}

TEST_CASE("an argument with a leading slash or point or an existing folder is a folder") {
  CHECK(looks_like_folder("/x"));
  CHECK(looks_like_folder("./x"));
  CHECK(looks_like_folder("../x"));
  CHECK_FALSE(looks_like_folder("acme/legal:1.0.0"));
  CHECK_FALSE(looks_like_folder("no-such-folder-here"));
}

}  // namespace organ::format
