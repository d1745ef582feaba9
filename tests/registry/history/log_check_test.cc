// SPDX-License-Identifier: Apache-2.0
#include "registry/history/log_check.h"

#include <fmt/core.h>

#include "format/manifest/manifest.h"
#include "registry/log/log.h"
#include "registry/log/merkle_proof.h"
#include "tests/registry/support.h"

using namespace organ;
using namespace organ::registry;
using namespace organ::test;
using Mode = Registry::Mode;

namespace {

struct User {
  const Fixture* fixture;
  fs::path known = fixture->folder.path() / "config";

  LogCheck check() const { return check_log(fixture->root, {.known_registries = known}); }
  std::string findings() const {
    std::string text;
    for (const format::Finding& finding : check().findings) {
      text +=
          fmt::format("{}: {}: {}\n", to_string(finding.code), finding.subject, finding.message);
    }
    return text;
  }
};

void copy_folder(const fs::path& from, const fs::path& to) {
  fs::remove_all(to);
  fs::copy(from, to, fs::copy_options::recursive);
}

// What only who has the log's key can do: an entry that no writer would make.
void append(const Fixture& fixture, const LogEntry& entry) {
  const Log log(fixture.root / "organ");
  const LogPosition end = log.scan({}, [](const LogPlace&, const LogEntry&) {}).end;
  log.append(end, entry, log.verifier_key());
}

LogEntry last_publish(const Fixture& fixture) {
  return fixture.open(Mode::read).history("legal/contracts").back().entry;
}

}  // namespace

TEST_CASE("log check: a good log, and what was seen of it is its beginning") {
  const Fixture fixture;
  const User user{&fixture};
  LogCheck check = user.check();
  CHECK(check.findings.empty());
  CHECK(check.entries == 2);
  CHECK(check.versions == 0);
  CHECK(!check.remembered);
  REQUIRE(check.notes.size() == 1);
  CHECK(contains(check.notes.front(), "is met for the first time"));
  for (int i = 0; i < 5; ++i) {
    const Digest before = check.root;
    fixture.publish(fmt::format("1.{}.0", i));
    check = user.check();
    CHECK(check.notes.empty());
    CHECK(check.versions == static_cast<std::uint64_t>(i + 1));
    REQUIRE(check.remembered);
    CHECK(check.remembered->root == before);
    CHECK(is_beginning({check.remembered->entries, before}, {check.entries, check.root},
                       check.remembered->proof));
  }
}

TEST_CASE("log check: rollback, fork and another registry have their names") {
  const Fixture fixture, other;
  const User user{&fixture};
  const fs::path yesterday = fixture.folder.path() / "yesterday";
  copy_folder(fixture.root, yesterday);
  fixture.publish("1.0.0");
  CHECK(user.findings().empty());
  copy_folder(yesterday, fixture.root);
  CHECK(contains(user.findings(), "untrusted: organ/log: rollback: seen with 3 entries since"));
  fixture.publish("2.0.0");
  CHECK(contains(user.findings(), "untrusted: organ/log: fork: since "));
  fixture.publish("2.1.0");
  CHECK(contains(user.findings(), "untrusted: organ/log: fork: since "));
  copy_folder(other.root, fixture.root);
  CHECK(contains(user.findings(), "another registry is in its place"));
}

TEST_CASE("log check: damage is named, and nothing more is said") {
  const Fixture fixture;
  const User user{&fixture};
  fixture.publish("1.0.0");
  CHECK(user.findings().empty());
  const fs::path log = fixture.root / "organ" / "log";
  const std::string good = slurp(log);
  std::string bad = good;
  bad[bad.size() - 5] = static_cast<char>(bad[bad.size() - 5] ^ 1);
  spill(log, bad);
  const LogCheck check = user.check();
  REQUIRE(check.findings.size() == 1);
  CHECK(check.findings.front().code == ErrorCode::corrupt);
  CHECK(contains(check.findings.front().message, "entry 2 at byte"));
  CHECK(check.entries == 2);
  spill(log, good);
  CHECK(user.findings().empty());
  fs::remove(fixture.root / "organ" / "trust" / "log.vkey");
  CHECK(contains(user.findings(), "corrupt: organ/trust/log.vkey: "));
}

TEST_CASE("log check: entries that contradict those before them") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const User user{&fixture};
  LogEntry entry = last_publish(fixture);
  SUBCASE("the same version twice") {
    entry.manifest->digest = sha256("other content");
    append(fixture, entry);
    CHECK(contains(user.findings(),
                   "corrupt: organ/log: entry 3 (publish): silent re-tag: "
                   "legal/contracts:1.0.0 was published at entry 2 already"));
  }
  SUBCASE("a signature of other content") {
    entry.kind = LogKind::signature;
    entry.manifest->digest = sha256("other content");
    append(fixture, entry);
    CHECK(contains(user.findings(), "entry 3 (signature): silent re-tag: names "));
  }
  SUBCASE("an alias of nothing") {
    LogEntry alias;
    alias.kind = LogKind::alias;
    alias.time = entry.time;
    alias.name = entry.name;
    alias.alias = "stable";
    alias.version = "3.0.0";
    append(fixture, alias);
    CHECK(contains(user.findings(), "entry 3 (alias): legal/contracts:3.0.0 was never published"));
  }
}

TEST_CASE("log check: times that go back are named, and no entry is dated before the newest one") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  LogEntry entry;
  entry.kind = LogKind::alias;
  entry.name = "legal/contracts";
  entry.alias = "stable";
  entry.version = "1.0.0";
  entry.time = "2020-01-02T03:04:05Z";
  append(fixture, entry);
  const LogCheck check = check_log(fixture.root);
  CHECK(check.findings.empty());
  REQUIRE(check.notes.size() == 2);
  CHECK(contains(check.notes.front(), "the time goes back in 1 of its entries"));
  CHECK(contains(check.notes.front(), "entry 3 says 2020-01-02T03:04:05Z"));
  fixture.publish("1.1.0");
  // Clocks of two machines differ a little.
  entry.time = format::time_text(format::clock_seconds() + 200);
  append(fixture, entry);
  fixture.publish("1.1.1");
  CHECK(last_publish(fixture).time == entry.time);
  entry.time = "2999-01-02T03:04:05Z";
  append(fixture, entry);
  // A clock that ran ahead once ends no writing.
  Registry late = fixture.open(Mode::write);
  late.take_notices();
  late.set_alias("legal/contracts", "latest", format::Version::parse("1.1.1"));
  const auto notices = late.take_notices();
  REQUIRE(notices.size() == 1);
  CHECK(contains(notices.front(), "its newest entry was made at 2999-01-02T03:04:05Z, and this"));
  CHECK(late.log_size() == 9);
}

TEST_CASE("log check: without a memory that is said") {
  const Fixture fixture;
  const LogCheck check = check_log(fixture.root);
  CHECK(check.findings.empty());
  REQUIRE(check.notes.size() == 1);
  CHECK(contains(check.notes.front(), "neither rollback nor fork shows"));
}
