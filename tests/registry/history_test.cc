// SPDX-License-Identifier: Apache-2.0
// What may enter the history of a registry, and what a registry says of it.
#include <fmt/core.h>

#include "registry/catalog/internal/sqlite.h"
#include "registry/log/merkle.h"
#include "tests/registry/support.h"

using namespace organ;
using namespace organ::registry;
using namespace organ::test;
using Mode = Registry::Mode;

namespace {

fs::path log_of(const Fixture& fixture) { return fixture.root / "organ" / "log"; }

std::string line_of(const LogEntry& entry) {
  const std::string json = entry.to_text();
  return merkle_leaf(json).hex() + " " + json + "\n";
}

LogEntry withdrawal(LogKind kind, const std::string& version, bool withdrawn = false) {
  LogEntry entry;
  entry.kind = kind;
  entry.time = "2026-01-02T03:04:05Z";
  entry.name = "legal/contracts";
  entry.version = version;
  entry.reason = "forged";
  entry.withdrawn = withdrawn;
  return entry;
}

LogEntry pointing(const std::string& version) {
  LogEntry entry;
  entry.kind = LogKind::alias;
  entry.time = "2026-01-02T03:04:05Z";
  entry.name = "legal/contracts";
  entry.alias = "stable";
  entry.version = version;
  return entry;
}

}  // namespace

TEST_CASE("history: a whole line that no pending note announced never counts") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  fixture.publish("1.1.0");
  fixture.open().withdraw(Registry::Withdrawal::revoke, "legal/contracts", version("1.0.0"), "bad");
  const std::string good = slurp(log_of(fixture));
  for (const LogEntry& forged :
       {withdrawal(LogKind::yank, "1.1.0"), withdrawal(LogKind::revoke, "1.1.0"),
        withdrawal(LogKind::revoke, "1.0.0", true), pointing("1.0.0")}) {
    spill(log_of(fixture), good + line_of(forged));
    const std::string checkpoint = slurp(fixture.root / "organ" / "checkpoint");
    // Who only reads neither believes it nor changes anything.
    const Registry reader = fixture.open(Mode::read);
    CHECK(reader.resolve(reference("legal/contracts")).version == "1.1.0");
    CHECK(reader.resolve(reference("legal/contracts:1.0.0")).revoke_reason == "bad");
    CHECK(slurp(log_of(fixture)) == good + line_of(forged));
    Registry writer = fixture.open();
    CHECK(slurp(log_of(fixture)) == good);
    CHECK(slurp(fixture.root / "organ" / "checkpoint") == checkpoint);
    const auto notices = writer.take_notices();
    REQUIRE(notices.size() == 1);
    CHECK(contains(notices.front(), "taken out of the log"));
  }
  // What was taken out is kept for whoever asks how it came there.
  CHECK(list_folder(fixture.root / "organ" / "quarantine").size() == 4);
  CHECK(all_findings(fixture.open(Mode::read).verify_all()) ==
        "untrusted: legal/contracts:1.0.0: revoked: bad\n");
}

TEST_CASE("history: the announced line is taken in after a crash, by who may write") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const std::string old_checkpoint = slurp(fixture.root / "organ" / "checkpoint");
  fixture.publish("1.1.0");
  const std::string checkpoint = slurp(fixture.root / "organ" / "checkpoint");
  const std::string log = slurp(log_of(fixture));
  fs::remove(fixture.root / "organ" / "catalog.db");
  spill(fixture.root / "organ" / "checkpoint", old_checkpoint);
  CHECK(fixture.open(Mode::read).list().size() == 1);
  CHECK(slurp(fixture.root / "organ" / "checkpoint") == old_checkpoint);
  CHECK(fixture.open().list().size() == 2);
  // Signed at another time, it says the same.
  const auto text_of = [](const std::string& note) { return note.substr(0, note.find("\n\n")); };
  CHECK(text_of(slurp(fixture.root / "organ" / "checkpoint")) == text_of(checkpoint));
  CHECK(slurp(log_of(fixture)) == log);
}

TEST_CASE("history: an entry that no reader would take is not written") {
  const Fixture fixture;
  fixture.publish();
  const std::string log = slurp(log_of(fixture));
  Registry registry = fixture.open();
  const std::string refusal = error_of([&] {
    registry.withdraw(Registry::Withdrawal::yank, "legal/contracts", version("1.0.0"),
                      std::string(70000, 'x'));
  });
  CHECK(contains(refusal, "invalid_argument: "));
  CHECK(slurp(log_of(fixture)) == log);
}

TEST_CASE("history: organ.json that grows beyond the limit under its new name is refused before") {
  const Fixture fixture;
  const fs::path folder = fixture.folder.path() / "big";
  fs::copy(fixture.organ_folder, folder);
  auto manifest = format::Manifest::parse(slurp(folder / "organ.json"), "organ.json");
  manifest.name = "a";
  // What this organ does not know is kept byte for byte.
  std::string filled = manifest.to_text();
  const std::string start = R"("zz_filling":[)", end = "]";
  std::string filling = "," + start;
  const auto add = [&](std::size_t length) {
    filling += (filling.ends_with('[') ? "\"" : ",\"") + std::string(length, 'x') + "\"";
  };
  while (filled.size() + filling.size() + 70000 < format::kManifestLimit) add(60000);
  add(format::kManifestLimit - filled.size() - filling.size() - end.size() - 3);
  filled.insert(filled.rfind('}'), filling + end);
  REQUIRE(filled.size() == format::kManifestLimit);
  spill(folder / "organ.json", filled);
  const auto organ = format::OrganFolder::open(folder);
  Registry registry = fixture.open();
  const std::string refusal = error_of([&] {
    registry.publish(organ, "legal/some-longer-name", version("1.0.0"), {.key = &fixture.key});
  });
  CHECK(contains(refusal, "a reader takes at most"));
  CHECK(fixture.publish("2.0.0").log_index == 2);
  CHECK(all_findings(fixture.open(Mode::read).verify_all()) == "no finding");
}

TEST_CASE("history: rows of the catalog are no evidence") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  fixture.publish("1.1.0");
  fixture.open().withdraw(Registry::Withdrawal::revoke, "legal/contracts", version("1.1.0"), "bad");
  fixture.open().set_alias("legal/contracts", "stable", version("1.0.0"));
  const auto edit = [&](const std::string& sql) {
    Database(fixture.root / "organ" / "catalog.db", Database::Open::existing).execute(sql);
  };
  SUBCASE("revocation") {
    edit("UPDATE versions SET revoke_reason = NULL");
    const Registry registry = fixture.open(Mode::read);
    const auto found = registry.resolve(reference("legal/contracts:1.1.0"));
    CHECK(found.revoke_reason == "bad");
    const auto verdict = registry.evaluate(found, *registry.open_organ(found));
    REQUIRE(verdict.refusals.size() == 1);
    CHECK(contains(verdict.refusals.front().message, "revoked: bad"));
    CHECK(registry.resolve(reference("legal/contracts")).version == "1.0.0");
    CHECK(registry.list().back().revoke_reason == "bad");
  }
  SUBCASE("alias") {
    edit("UPDATE aliases SET version_id = (SELECT id FROM versions WHERE version = '1.1.0')");
    CHECK(fixture.open(Mode::read).resolve(reference("legal/contracts@stable")).version == "1.0.0");
    edit("INSERT INTO aliases VALUES ('legal/contracts', 'best', 2, 2)");
    CHECK(contains(
        error_of([&] { fixture.open(Mode::read).resolve(reference("legal/contracts@best")); }),
        "not_found: "));
  }
  SUBCASE("each column of a publish entry") {
    for (const std::string& change :
         {std::string("published = '1999-01-01T00:00:00Z'"),
          std::string("manifest_size = manifest_size + 1"),
          "manifest_digest = 'sha256:" + std::string(64, 'a') + "'", std::string("log_offset = 0"),
          std::string("log_offset = 100000000")}) {
      edit("UPDATE versions SET " + change + " WHERE version = '1.0.0'");
      const std::string said =
          error_of([&] { fixture.open(Mode::read).resolve(reference("legal/contracts:1.0.0")); });
      // The offset is only a hint: without it the log is read as a whole.
      if (contains(change, "log_offset")) {
        CHECK(said == "no error");
      } else {
        CHECK(contains(said, "is not what entry"));
      }
      CHECK(contains(said, "silent re-tag") == contains(change, "manifest_digest"));
      Registry::rebuild(fixture.root);
    }
  }
}

TEST_CASE("history: a proof needs no file of hashes and believes none") {
  const Fixture fixture;
  for (const char* text : {"1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0"}) fixture.publish(text);
  const fs::path tree = fixture.root / "organ" / "log.tree";
  const std::string good = slurp(tree);
  CHECK(good.size() == 32 * (2 * 7 - 3));  // two entries about keys, five versions
  for (const std::string& bad :
       {std::string(), good.substr(0, 40), std::string(good.size(), 'x'), good + good}) {
    spill(tree, bad);
    CHECK(fixture.open(Mode::read).resolve(reference("legal/contracts:1.2.0")).log_index == 4);
  }
  fs::remove(tree);
  CHECK(fixture.open(Mode::read).resolve(reference("legal/contracts:1.2.0")).log_index == 4);
  fixture.publish("1.5.0");
  CHECK(slurp(tree).substr(0, good.size()) == good);
}

TEST_CASE("history: two readers and many publishers see no rollback") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const Registry reader = fixture.open(Mode::read);
  for (int i = 1; i < 8; ++i) {
    fixture.publish(fmt::format("1.{}.0", i));
    CHECK(reader.history("legal/contracts").size() == static_cast<std::size_t>(i + 1));
    CHECK(reader.resolve(reference("legal/contracts")).version == fmt::format("1.{}.0", i));
  }
  CHECK(all_findings(reader.verify_all()) == "no finding");
}

TEST_CASE("history: a rebuild under an open writer is noticed") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  Registry writer = fixture.open();
  Registry::rebuild(fixture.root);
  const auto result = writer.publish(format::OrganFolder::open(fixture.organ_folder),
                                     "legal/contracts", version("1.1.0"), {.key = &fixture.key});
  CHECK_FALSE(result.already_published);
  CHECK(fixture.open(Mode::read).list().size() == 2);
}
