// SPDX-License-Identifier: Apache-2.0
// What the log says of one version, and by whom.
#include <algorithm>

#include "registry/catalog/internal/sqlite.h"
#include "tests/registry/support.h"

using namespace organ;
using namespace organ::registry;
using namespace organ::test;
using Mode = Registry::Mode;

namespace {

constexpr char kName[] = "legal/contracts";

std::vector<VersionEvent> events_of(const Fixture& fixture, const std::string& text) {
  const Registry registry = fixture.open(Mode::read);
  return registry.history_of(registry.resolve({kName, version(text)}));
}

// The kinds in their order, a space between them.
std::string kinds(const Fixture& fixture, const std::string& text) {
  std::string all;
  for (const VersionEvent& event : events_of(fixture, text)) {
    all += (all.empty() ? "" : " ") + std::string(to_string(event.record.entry.kind));
  }
  return all;
}

}  // namespace

TEST_CASE("version history: all that concerns a version, and nothing else") {
  const Fixture fixture;
  for (const char* text : {"1.0.0", "1.1.0"}) fixture.publish(text);
  fixture.publish("1.0.0", "legal/other");
  const auto stranger = format::SecretKey::generate(format::Curve::p384);
  const auto organ = format::OrganFolder::open(fixture.organ_folder);
  Registry registry = fixture.open();
  registry.set_alias(kName, "stable", version("1.0.0"));
  registry.set_alias(kName, "latest", version("1.1.0"));
  registry.set_alias("legal/other", "stable", version("1.0.0"));
  registry.publish(organ, kName, version("1.0.0"), {.key = &stranger});
  registry.withdraw(Registry::Withdrawal::yank, kName, version("1.0.0"), "a draft");
  registry.set_alias(kName, "stable", version("1.1.0"));
  registry.set_alias(kName, "stable", std::nullopt);
  registry.supersede(kName, version("1.0.0"), Supersession{"legal/contracts:1.1.0", "new laws"});
  registry.withdraw(Registry::Withdrawal::yank, kName, version("1.0.0"), std::nullopt);
  registry.trust("medical/*", stranger.public_key());
  CHECK(kinds(fixture, "1.0.0") == "publish alias signature yank alias supersede yank");
  CHECK(kinds(fixture, "1.1.0") == "publish alias alias alias supersede");
  const auto events = events_of(fixture, "1.0.0");
  const auto records = fixture.open(Mode::read).history();
  for (const VersionEvent& event : events) {
    REQUIRE(event.record.index < records.size());
    CHECK(records[event.record.index].entry == event.record.entry);
  }
  REQUIRE(events[0].signers.size() == 1);
  CHECK(events[0].signers[0].key == fixture.key.public_key().id());
  CHECK(events[0].signers[0].verified);
  REQUIRE(events[2].signers.size() == 1);
  CHECK(events[2].signers[0].key == stranger.public_key().id());
  CHECK(events[2].signers[0].verified);  // the registry has that key by now, for other names
  CHECK(events[3].signers.empty());
  CHECK(events[3].record.entry.reason == "a draft");
}

TEST_CASE("version history: a key that the registry does not have proves nothing") {
  const Fixture fixture;
  const auto stranger = format::SecretKey::generate(format::Curve::p256);
  fixture.publish("1.0.0");
  fixture.open().publish(format::OrganFolder::open(fixture.organ_folder), kName, version("1.0.0"),
                         {.key = &stranger});
  const auto events = events_of(fixture, "1.0.0");
  REQUIRE(events.size() == 2);
  CHECK(events[1].signers[0].key == stranger.public_key().id());
  CHECK_FALSE(events[1].signers[0].verified);
  // Nor does another key under its name.
  write_file(fixture.root / "organ/trust" / (stranger.public_key().id().hex() + ".pem"),
             fixture.key.public_key().pem());
  CHECK_FALSE(events_of(fixture, "1.0.0")[1].signers[0].verified);
  spill(fixture.root / "organ/trust" / (stranger.public_key().id().hex() + ".pem"), "no key");
  CHECK_FALSE(events_of(fixture, "1.0.0")[1].signers[0].verified);
}

TEST_CASE("version history: it stands in the log, whatever became of the objects") {
  const Fixture fixture;
  const Digest digest = fixture.publish("1.0.0").digest;
  Database rows(fixture.root / "organ" / "catalog.db", Database::Open::existing);
  Statement one = rows.prepare("SELECT manifest_digest FROM signatures");
  REQUIRE(one.step());
  const fs::path signature = fixture.blob(Digest::parse(one.text(0)));
  SUBCASE("the manifest is gone") { fs::remove(fixture.blob(digest)); }
  SUBCASE("a signature is gone") { fs::remove(signature); }
  SUBCASE("a signature is damaged") { spill(signature, "nothing of use"); }
  const auto events = events_of(fixture, "1.0.0");
  REQUIRE(events.size() == 1);
  CHECK(events[0].record.entry.manifest->digest == digest);
  CHECK(events[0].signers.size() + events[0].unreadable.size() == 1);
}
