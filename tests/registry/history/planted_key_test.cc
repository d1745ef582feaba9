// SPDX-License-Identifier: Apache-2.0
// What somebody gains who may write a registry's folder and cannot read log.key: nothing but to be
// refused. Nor does who had a former key of the log.
#include <filesystem>

#include "format/manifest/manifest.h"
#include "registry/care/fsck.h"
#include "registry/care/gc.h"
#include "registry/care/stats.h"
#include "registry/history/log_check.h"
#include "registry/history/log_proof.h"
#include "registry/log/log.h"
#include "registry/log/merkle.h"
#include "registry/log/moment.h"
#include "registry/notes/note.h"
#include "registry/notes/note_signer.h"
#include "tests/registry/support.h"

using namespace organ;
using namespace organ::registry;
using namespace organ::test;
using Mode = Registry::Mode;

namespace {

std::uint64_t now() { return static_cast<std::uint64_t>(format::clock_seconds()); }

// Somebody with a key that is not the log's, or no more.
struct Intruder {
  const Fixture* fixture;
  NoteSigner key;
  fs::path organ = fixture->root / "organ";
  std::string origin = Log(organ).origin();

  void pin() const { spill(organ / "trust" / "log.vkey", key.verifier_key(origin) + "\n"); }
  // Beside the signatures that are there.
  void sign_beside(std::uint64_t time) const {
    SignedNote note = SignedNote::parse(slurp(organ / "checkpoint"), "checkpoint");
    note.signatures.push_back(key.sign(origin, note.text));
    note.signatures.push_back(key.cosign(origin, note.text, time));
    spill(organ / "checkpoint", note.to_string());
  }
  // An entry behind the checkpoint, announced by this key, which waits as the log's next one.
  void announce() const {
    const LogPosition end = Log(organ).scan({}, [](const LogPlace&, const LogEntry&) {}).end;
    LogEntry entry;
    entry.kind = LogKind::alias;
    entry.time = format::clock_time();
    entry.name = "legal/contracts";
    entry.alias = "planted";
    entry.version = "1.0.0";
    MerkleTree tree = end.tree;
    tree.append(merkle_leaf(entry.to_text()));
    std::ofstream(organ / "log", std::ios::app)
        << merkle_leaf(entry.to_text()).hex() << " " << entry.to_text() << "\n";
    spill(organ / "pending",
          sign_checkpoint({key}, {origin, tree.size(), tree.root()}, NoteKind::pending));
    fs::remove(organ / "log.key.next");
    key.save(organ / "log.key.next");
  }
};

bool is_planted(const Fixture& fixture) {
  for (const LogRecord& record : fixture.open(Mode::read).history()) {
    if (record.entry.alias == "planted") return true;
  }
  return false;
}

}  // namespace

TEST_CASE("planted key: what it announces is not taken into the log") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const std::string pinned = slurp(fixture.root / "organ" / "trust" / "log.vkey");
  const Intruder intruder{&fixture, NoteSigner::generate()};
  const std::string why = "pins";
  SUBCASE("pinned, and the checkpoint signed with it: nothing is read or written") {
    intruder.announce();
    intruder.pin();
    intruder.sign_beside(now());
    CHECK(contains(error_of([&] { fixture.publish("1.1.0"); }), "untrusted: "));
    CHECK(contains(error_of([&] { fixture.open(); }), why));
    CHECK(contains(error_of([&] { fixture.open(Mode::read); }), why));
    CHECK(contains(error_of([&] { Registry::rebuild(fixture.root); }), why));
    REQUIRE(check_log(fixture.root).findings.size() == 1);
    CHECK(contains(check_log(fixture.root).findings.front().message, why));
    spill(fixture.root / "organ" / "trust" / "log.vkey", pinned);
  }
  SUBCASE("waiting as the next key: the line is taken out") { intruder.announce(); }
  fixture.publish("1.1.0");
  CHECK_FALSE(is_planted(fixture));
  CHECK(list_folder(fixture.root / "organ" / "quarantine").size() == 1);
}

TEST_CASE("planted key: in place of log.key it signs nothing") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const fs::path key = fixture.root / "organ" / "log.key";
  const std::string good = slurp(key), checkpoint = slurp(fixture.root / "organ" / "checkpoint");
  fs::remove(key);
  NoteSigner::generate().save(key);
  const std::string why = error_of([&] { fixture.publish("1.1.0"); });
  CHECK(contains(why, "untrusted: "));
  CHECK(contains(why, "not the key that the log's entries name"));
  CHECK(slurp(fixture.root / "organ" / "checkpoint") == checkpoint);
  spill(key, good);
  // What nobody can use as the next key is in nobody's way.
  write_file(fixture.root / "organ" / "log.key.next", "no key");
  fixture.publish("1.1.0");
}

TEST_CASE("planted key: a former key of the log announces nothing either") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  Intruder thief{&fixture, NoteSigner::load(fixture.root / "organ" / "log.key")};
  Registry writer = fixture.open();
  rotate(writer);
  const std::string pinned = slurp(fixture.root / "organ" / "trust" / "log.vkey");
  thief.announce();
  SUBCASE("pinned") {
    thief.pin();
    thief.sign_beside(now());
  }
  SUBCASE("not pinned") {}
  fixture.publish("1.1.0");
  CHECK(slurp(fixture.root / "organ" / "trust" / "log.vkey") == pinned);
  CHECK_FALSE(is_planted(fixture));
  CHECK(check_log(fixture.root).findings.empty());
}

TEST_CASE("planted key: the age of a state is what the log's key says") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  Intruder thief{&fixture, NoteSigner::load(fixture.root / "organ" / "log.key")};
  Registry writer = fixture.open();
  rotate(writer);
  const std::string old = sign_checkpoint({NoteSigner::load(fixture.root / "organ" / "log.key")},
                                          Log(fixture.root / "organ").checkpoint(),
                                          NoteKind::checkpoint, now() - 3 * kDay);
  spill(fixture.root / "organ" / "checkpoint", old);
  thief.pin();
  thief.sign_beside(now());
  CHECK(error_of([&] { fixture.open(Mode::read); }) == "no error");
  CHECK(contains(error_of([&] { Registry::open(fixture.root, Mode::read, {.max_age = kDay}); }),
                 "freeze: its newest state was signed 3 days ago"));
  const LogCheck check = check_log(fixture.root, {.max_age = kDay});
  REQUIRE(check.findings.size() == 1);
  CHECK(contains(check.findings.front().message, "freeze: "));
  CHECK(check.signed_at.value_or(0) <= now() - 3 * kDay);
  // And whoever says which key it must be means the one that speaks.
  CHECK(error_of([&] {
          Registry::open(fixture.root, Mode::read, {.log_key = writer.log_key()});
        }) == "no error");
}

TEST_CASE("planted key: whoever looks at the store says that the log's key signed none of it") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  Intruder thief{&fixture, NoteSigner::load(fixture.root / "organ" / "log.key")};
  Registry writer = fixture.open();
  rotate(writer);
  const Checkpoint newest = Log(fixture.root / "organ").checkpoint();
  spill(fixture.root / "organ" / "checkpoint",
        sign_checkpoint({thief.key}, newest, NoteKind::checkpoint, now()));
  thief.pin();
  const std::string why = "is the log's key";
  const FsckReport report = fsck(fixture.root);
  REQUIRE(report.records.size() == 1);
  CHECK(report.records.front().code == ErrorCode::untrusted);
  CHECK(contains(report.records.front().message, why));
  CHECK(contains(error_of([&] { store_stats(fixture.root); }), why));
  CHECK(contains(error_of([&] { plan_gc(fixture.root, GcAction::collect, 0); }), why));
  CHECK(contains(error_of([&] { Registry::rebuild(fixture.root); }), why));
  CHECK(contains(error_of([&] { prove_entry(fixture.root, 0); }), why));
}

TEST_CASE("planted key: a witness's key is none of a log") {
  const Fixture fixture;
  const std::string key = NoteSigner::generate().verifier_key(Log(fixture.root / "organ").origin(),
                                                              NoteKeyType::cosigner);
  spill(fixture.root / "organ" / "trust" / "log.vkey", key + "\n");
  CHECK(contains(error_of([&] { fixture.open(Mode::read); }), "not the key of a log"));
}
