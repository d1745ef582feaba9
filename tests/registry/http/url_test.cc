// SPDX-License-Identifier: Apache-2.0
#include "registry/http/url.h"

#include <doctest/doctest.h>

#include "tests/support/support.h"

using namespace organ;
using namespace organ::registry;

namespace {

std::string refusal(const std::string& text) {
  return test::error_of([&] { Url::parse(text, "answer"); });
}

}  // namespace

TEST_CASE("an address is read into its parts and written again") {
  const Url url = Url::parse("HTTPS://Registry.Example.org:5000/v2/a?b=c#part", "answer");
  CHECK(url.scheme == "https");
  CHECK(url.host == "registry.example.org");
  CHECK(url.port == 5000);
  CHECK(url.target == "/v2/a?b=c");
  CHECK(url.to_string() == "https://registry.example.org:5000/v2/a?b=c");
  CHECK(url.without_query() == "https://registry.example.org:5000/v2/a");
  CHECK(Url::parse("https://host", "answer").to_string() == "https://host/");
  CHECK(Url::parse("https://host?x", "answer").target == "/?x");
  CHECK(Url::parse("https://host:443/", "answer").authority() == "host");
  CHECK(Url::parse("http://[::1]:80/", "answer").to_string() == "http://[::1]/");
  CHECK(Url::parse("https://[2001:DB8::A]/x", "answer").host == "2001:db8::a");
}

TEST_CASE("plain http is for this machine alone") {
  for (const char* host : {"localhost", "LOCALHOST:5000", "127.0.0.1", "127.9.8.7", "[::1]"}) {
    CHECK(Url::parse(std::string("http://") + host + "/", "answer").is_loopback());
  }
  // What only looks like this machine: other spellings that a resolver may read differently, names
  // that begin or end with one.
  for (const char* host : {"example.org", "127.0.0.1.example.org", "localhost.example.org", "127.1",
                           "2130706433", "0x7f.0.0.1", "0177.0.0.1", "0.0.0.0", "[::]",
                           "[::ffff:127.0.0.1]", "128.0.0.1", "xlocalhost"}) {
    CHECK_MESSAGE(refusal(std::string("http://") + host + "/").starts_with("untrusted: "), host);
    CHECK_FALSE(Url::parse(std::string("https://") + host + "/", "answer").is_loopback());
  }
}

TEST_CASE("what is no address is refused by name") {
  for (const char* text : {"",
                           "registry",
                           "https:/host",
                           "https://",
                           "https:///path",
                           "https://user@host/",
                           "https://user:word@host/",
                           "https://host:/",
                           "https://host:0/",
                           "https://host:65536/",
                           "https://host:12x/",
                           "https://[::1/",
                           "https://[host]/",
                           "https://[::1]x/",
                           "https://ho st/",
                           "https://host\\@other/",
                           "https://host/a b",
                           "https://host/\r\nX: y",
                           "https://h\xc3\xb6st/",
                           "https://host%2f/"}) {
    CHECK_MESSAGE(refusal(text).starts_with("corrupt: answer: "), text);
  }
  CHECK(refusal("https://host/" + std::string(20'000, 'a')).find("16 KiB") != std::string::npos);
  for (const char* text :
       {"file:///etc/passwd", "ftp://host/", "gopher://host/", "javascript://x"}) {
    CHECK_MESSAGE(refusal(text).starts_with("untrusted: answer: "), text);
  }
}

TEST_CASE("a location is absolute or a path of the same origin") {
  const Url asked = Url::parse("https://host:5000/v2/a", "asked");
  CHECK(asked.resolve("/v2/b?c", "answer").to_string() == "https://host:5000/v2/b?c");
  CHECK(asked.resolve("https://other/x", "answer").host == "other");
  CHECK(asked.same_origin(asked.resolve("https://HOST:5000/x", "answer")));
  CHECK_FALSE(asked.same_origin(asked.resolve("https://host/x", "answer")));
  for (const char* text : {"", "//other/x", "b", "?c", "http://host:5000/v2/a", "/a\nb"}) {
    CHECK_MESSAGE(test::error_of([&] { asked.resolve(text, "answer"); }) != "no error", text);
  }
}

TEST_CASE("queries are encoded byte by byte") {
  CHECK(encode_query("repository:a/b:pull,push") == "repository%3Aa%2Fb%3Apull%2Cpush");
  CHECK(encode_query("A z~&=+%\n\xff") == "A%20z~%26%3D%2B%25%0A%FF");
}
