// SPDX-License-Identifier: Apache-2.0
#include "registry/http/internal/helper_process.h"

#include <csignal>
#include <cstdlib>

#include <doctest/doctest.h>

#include "format/base/file.h"
#include "registry/http/credentials.h"
#include "tests/support/support.h"

using namespace organ;
using namespace organ::registry;

namespace {

// As a host may, or whoever started organ: the system then takes every child's exit code.
class IgnoredChildren {
 public:
  IgnoredChildren() : before_(std::signal(SIGCHLD, SIG_IGN)) {}
  ~IgnoredChildren() { std::signal(SIGCHLD, before_); }
  IgnoredChildren(const IgnoredChildren&) = delete;
  IgnoredChildren& operator=(const IgnoredChildren&) = delete;

 private:
  void (*before_)(int);
};

void put_program(const std::filesystem::path& path, std::string_view script) {
  write_file(path, "#!/bin/sh\n" + std::string(script), AtomicFile::Mode::create_new, 0700);
}

}  // namespace

TEST_CASE("a helper: what it answers and the code it ends with") {
  CHECK(ask_helper("cat", "-", "a question", {}).output == "a question");
  CHECK(ask_helper("false", "get", "", {}).exit_code == 1);
  CHECK(test::error_of([] {
          ask_helper("organ-no-such-helper", "get", "", {});
        }).starts_with("not_found: "));
}

TEST_CASE("a helper whose exit code nobody knows is none that succeeded") {
  const IgnoredChildren ignored;
  const std::string error = test::error_of([] { ask_helper("false", "get", "", {}); });
  CHECK(error.starts_with("io: "));
  CHECK(error.find("its exit code cannot be known") != std::string::npos);
}

TEST_CASE("what a failing credential helper wrote is not shown: it may be the secret") {
  const TempFolder scratch = test::scratch();
  const std::string program = (scratch.path() / "docker-credential-bad").string();
  put_program(program, "echo '{\"Secret\": \"hunter2\"}'\nexit 1\n");
  write_file(scratch.path() / "config.json", R"({"credsStore": "bad"})",
             AtomicFile::Mode::create_new);
  const char* path = std::getenv("PATH");
  REQUIRE(path != nullptr);
  const std::string before = path;
  ::setenv("PATH", (scratch.path().string() + ":" + before).c_str(), 1);
  const auto where = RemoteReference::parse("oci://registry.example.org/legal/contracts:1.0.0");
  const std::string error =
      test::error_of([&] { find_credentials(where, scratch.path() / "config.json", {}); });
  ::setenv("PATH", before.c_str(), 1);
  CHECK(error.find("with exit code 1") != std::string::npos);
  CHECK(error.find("hunter2") == std::string::npos);
}
