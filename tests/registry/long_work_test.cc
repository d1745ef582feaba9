// SPDX-License-Identifier: Apache-2.0
// Publishing, verifying, opening and rebuilding as long work.
#include "tests/registry/support.h"
#include "tests/support/watcher.h"

using namespace organ;
using namespace organ::registry;
using namespace organ::test;

namespace {

using Names = std::vector<std::string>;

PublishResult publish(const Fixture& fixture, const std::string& version, const Work& work) {
  Registry registry = Registry::open(fixture.root, Registry::Mode::write, {}, work);
  return registry.publish(format::OrganFolder::open(fixture.organ_folder), "legal/contracts",
                          format::Version::parse(version), {.key = &fixture.key}, work);
}

}  // namespace

TEST_CASE("long work: publish, verify and rebuild do what they announce") {
  const Fixture fixture;
  for (const char* version : {"1.0.0", "1.1.0"}) {  // the second stores no file anew
    Watcher watcher;
    publish(fixture, version, Work(&watcher));
    CHECK(watcher.names() == Names{"verifying", "storing"});
    check_phases(watcher);
  }
  const Registry registry = fixture.open(Registry::Mode::read);
  Watcher one, all, rebuilding;
  const auto found = registry.resolve(format::Reference::parse("legal/contracts:1.0.0"));
  CHECK(all_findings(registry.verify(found, {}, Work(&one))) == "no finding");
  check_phases(one);
  CHECK(all_findings(registry.verify_all({}, Work(&all))) == "no finding");
  CHECK(all.names() == Names{"verifying", "reading the log", "reading the log"});
  check_phases(all);
  CHECK(Registry::rebuild(fixture.root, {}, Work(&rebuilding)).versions == 2);
  CHECK(rebuilding.names() == Names{"reading the log"});
  check_phases(rebuilding);
}

TEST_CASE("long work: publish that is ended at any step leaves no blob and no entry") {
  Fixture fixture;
  fixture.organ_folder = write_tiny_organ(fixture.folder.path() / "six", 6);
  const auto steps = end_at_every_step(fixture.folder.path(),
                                       [&](const Work& work) { publish(fixture, "1.0.0", work); });
  CHECK(steps > 10);
  const Registry registry = fixture.open(Registry::Mode::read);
  const VerifyReport report = registry.verify_all();
  CHECK(all_findings(report) == "no finding");
  CHECK(report.notes.empty());  // no blob that nothing refers to
}

TEST_CASE("long work: rebuild that is ended at any step keeps the old catalog") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  fixture.publish("1.1.0");
  const std::string dump = fixture.open(Registry::Mode::read).dump();
  const auto steps = end_at_every_step(
      fixture.folder.path(), [&](const Work& work) { Registry::rebuild(fixture.root, {}, work); });
  CHECK(steps >= 4);  // the log's own key, the trusted key, two versions
  CHECK(fixture.open(Registry::Mode::read).dump() == dump);
}

TEST_CASE("long work: opening that has to catch up can be ended and changes nothing then") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  fs::remove(fixture.root / "organ" / "catalog.db");
  const auto steps = end_at_every_step(fixture.folder.path(), [&](const Work& work) {
    Registry::open(fixture.root, Registry::Mode::write, {}, work);
  });
  CHECK(steps >= 3);
  CHECK(fixture.open(Registry::Mode::read).list().size() == 1);
}
