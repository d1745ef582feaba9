// SPDX-License-Identifier: Apache-2.0
#include "registry/http/remote_reference.h"

#include <doctest/doctest.h>

#include "tests/support/support.h"

using namespace organ;
using namespace organ::registry;

TEST_CASE("references are read and written again") {
  const std::string digest = "sha256:" + std::string(64, 'a');
  for (const std::string& text :
       {std::string("oci://host/a"), std::string("oci://host:5000/a/b-c__d.e:v1.0_x"),
        std::string("oci://[::1]:5000/a:latest"), "oci://host/a@" + digest,
        "oci://host/a:1.0@" + digest, std::string("oci://host/a---b/c")}) {
    CHECK(RemoteReference::parse(text).to_string() == text);
  }
  const auto one = RemoteReference::parse("oci://Host:443/a/b:Tag");
  CHECK(one.authority() == "host:443");
  CHECK(one.repository == "a/b");
  CHECK(one.tag == "Tag");
}

TEST_CASE("what is no reference is a mistake of the caller") {
  for (const char* text : {"",
                           "oci:",
                           "oci://",
                           "oci://host",
                           "oci://host/",
                           "oci:///a",
                           "host/a",
                           "https://host/a",
                           "oci://host/A",
                           "oci://host/a//b",
                           "oci://host/a/",
                           "oci://host/../a",
                           "oci://host/a_-b",
                           "oci://host/a___b",
                           "oci://host/-a",
                           "oci://host/a:",
                           "oci://host/a:-x",
                           "oci://host/a:b:c",
                           "oci://host/a@sha256:ab",
                           "oci://host/a@sha512:ab",
                           "oci://host/a?b",
                           "oci://user@host/a",
                           "oci://host:x/a",
                           "oci://host/a b",
                           "oci://ho st/a",
                           "oci://host/a\n"}) {
    CHECK_MESSAGE(
        test::error_of([&] { RemoteReference::parse(text); }).starts_with("invalid_argument: "),
        text);
  }
  CHECK_THROWS(RemoteReference::parse("oci://host/" + std::string(256, 'a')));
  CHECK_THROWS(RemoteReference::parse("oci://host/a:" + std::string(129, 'a')));
}

TEST_CASE("a version without a tag is its own") {
  CHECK(tag_of_version("1.0.0-rc.1+build.5") == "1.0.0-rc.1_build.5");
  CHECK_THROWS(tag_of_version("1.0.0-" + std::string(200, 'a')));
}
