// SPDX-License-Identifier: Apache-2.0
// Several processes that publish into one registry.
#include "registry/registry.h"

#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/registry/support.h"

using namespace organ;
using namespace organ::registry;
using namespace organ::test;
using format::Version;

namespace {

// Runs `action(i)` in `count` processes at once; returns how many ended with 0.
int in_processes(int count, const std::function<int(int)>& action) {
  std::vector<pid_t> children;
  for (int i = 0; i < count; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      int result = 99;
      try {
        result = action(i);
      } catch (const Error&) {
        result = 1;
      }
      ::_exit(result);
    }
    children.push_back(child);
  }
  int good = 0;
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    good += WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 1 : 0;
  }
  return good;
}

}  // namespace

TEST_CASE("registry: many publishers at once all succeed") {
  const Fixture fixture;
  constexpr int kProcesses = 12;
  CHECK(in_processes(kProcesses, [&](int i) {
          fixture.publish("1.0." + std::to_string(i));
          return 0;
        }) == kProcesses);
  CHECK(fixture.open().list().size() == kProcesses);
  CHECK(verify_all(fixture) == "no finding");
}

TEST_CASE("registry: of many different organs under one version exactly one wins") {
  const Fixture fixture;
  std::vector<fs::path> folders;
  for (int i = 0; i < 6; ++i) {
    folders.push_back(fixture.folder.path() / ("rival" + std::to_string(i)));
    fs::copy(fixture.organ_folder, folders.back());
    auto manifest = format::Manifest::parse(slurp(folders.back() / "organ.json"), "organ.json");
    manifest.description = "rival " + std::to_string(i);
    spill(folders.back() / "organ.json", manifest.to_text());
  }
  CHECK(in_processes(6, [&](int i) {
          fixture.open().publish(format::OrganFolder::open(folders[i]), "legal/contracts",
                                 Version::parse("1.0.0"), {.key = &fixture.key});
          return 0;
        }) == 1);
  CHECK(fixture.open().list().size() == 1);
  CHECK(verify_all(fixture) == "no finding");
}
