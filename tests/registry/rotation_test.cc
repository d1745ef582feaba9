// SPDX-License-Identifier: Apache-2.0
// A log's key hands over to another: who knows the old one follows, who has it alone goes nowhere.
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <map>
#include <optional>

#include "format/manifest/manifest.h"
#include "registry/history/log_check.h"
#include "registry/log/log.h"
#include "registry/log/merkle.h"
#include "registry/log/moment.h"
#include "registry/notes/note_signer.h"
#include "tests/registry/support.h"

using namespace organ;
using namespace organ::registry;
using namespace organ::test;
using Mode = Registry::Mode;

namespace {

struct User {
  const Fixture* fixture;
  fs::path known = fixture->folder.path() / "config" / "trust";

  Registry open(Mode mode = Mode::read) const {
    return Registry::open(fixture->root, mode, {.known_registries = known});
  }
  std::string refusal(Mode mode = Mode::read) const {
    return error_of([&] { open(mode); });
  }
};

std::string moment_in(std::int64_t seconds) {
  return format::time_text(format::clock_seconds() + seconds);
}

void apply_with(Registry& registry, const std::function<void(LogRoot&)>& change) {
  LogRoot next = registry.root();
  ++next.version;
  change(next);
  registry.apply_root(registry.sign_root(next));
}

constexpr const char* kKeyFiles[] = {"log.key", "log.key.next", "trust/log.vkey"};

// The key files of a registry, absent ones too.
std::map<std::string, std::optional<std::string>> key_files(const Fixture& fixture) {
  std::map<std::string, std::optional<std::string>> files;
  for (const char* name : kKeyFiles) {
    const fs::path path = fixture.root / "organ" / name;
    files[name] = fs::exists(path) ? std::optional(slurp(path)) : std::nullopt;
  }
  return files;
}

void put(const Fixture& fixture, const std::string& name, const std::optional<std::string>& text) {
  const fs::path path = fixture.root / "organ" / name;
  fs::remove(path);
  if (text) write_file(path, *text, AtomicFile::Mode::create_new, 0600);
}

bool any_contains(const std::vector<std::string>& sentences, const std::string& part) {
  for (const std::string& sentence : sentences) {
    if (contains(sentence, part)) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("rotation: who remembers the old key follows by proof, and is told") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const User user{&fixture};
  user.open();
  Registry writer = fixture.open();
  const std::string old_key = writer.log_key();
  rotate(writer);
  CHECK(writer.log_key() != old_key);
  CHECK(writer.root().log_key == writer.log_key());
  CHECK(writer.root().version == 2);
  CHECK(!fs::exists(fixture.root / "organ" / "log.key.next"));
  fixture.publish("1.1.0");
  Registry reader = user.open();
  const auto notices = reader.take_notices();
  CHECK(any_contains(notices, "root 2, which follows root 1"));
  CHECK(any_contains(notices, "its log key is now " + writer.log_key()));
  CHECK(reader.list().size() == 2);
  CHECK(user.open().take_notices().empty());
  CHECK(all_findings(reader.verify_all()) == "no finding");
  // And again, and who meets it now.
  rotate(writer);
  rotate(writer);
  CHECK(user.open().root().version == 4);
  const LogCheck check = check_log(fixture.root);
  CHECK(check.findings.empty());
  REQUIRE(check.speaks);
  CHECK(check.speaks->version == 4);
}

TEST_CASE("rotation: a reader and a writer that were open before go on") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const Registry reader = fixture.open(Mode::read);
  Registry writer = fixture.open(), other = fixture.open();
  rotate(writer);
  CHECK(reader.history().size() == 4);
  fixture.publish("1.1.0");
  CHECK(reader.history().size() == 5);
  CHECK(reader.root().version == 2);
  other.set_alias("legal/contracts", "stable", format::Version::parse("1.0.0"));
  CHECK(all_findings(fixture.open(Mode::read).verify_all()) == "no finding");
}

TEST_CASE("rotation: with the old key alone nobody goes on with the log") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const User user{&fixture};
  user.open();
  const auto before = key_files(fixture);
  const NoteSigner thief = NoteSigner::load(fixture.root / "organ" / "log.key");
  Registry writer = fixture.open();
  rotate(writer);
  user.open();
  SUBCASE("the same entries under the old key") {
    const Checkpoint now = Log(fixture.root / "organ").checkpoint();
    put(fixture, "trust/log.vkey", before.at("trust/log.vkey"));
    put(fixture, "log.key", before.at("log.key"));
    put(fixture, "checkpoint", sign_checkpoint({thief}, now, NoteKind::checkpoint, 1700000000));
    CHECK(contains(user.refusal(), "untrusted: "));
    // Who never met it sees from the entries which key counts.
    CHECK(contains(error_of([&] { fixture.open(Mode::read); }), "is the log's key"));
    CHECK(contains(error_of([&] { fixture.open(); }), "is the log's key"));
    REQUIRE(check_log(fixture.root).findings.size() == 1);
  }
  SUBCASE("more entries under the old key") {
    put(fixture, "trust/log.vkey", before.at("trust/log.vkey"));
    put(fixture, "log.key", before.at("log.key"));
    const LogPosition end = [&] {
      // The old key covers what is there, then adds to it.
      const Checkpoint now = [&] {
        MerkleTree tree;
        std::string_view rest;
        const std::string log = slurp(fixture.root / "organ" / "log");
        for (rest = log; !rest.empty(); rest.remove_prefix(rest.find('\n') + 1)) {
          tree.append(merkle_leaf(rest.substr(65, rest.find('\n') - 65)));
        }
        return Checkpoint{thief.name_below("organ-registry/"), tree.size(), tree.root()};
      }();
      put(fixture, "checkpoint", sign_checkpoint({thief}, now, NoteKind::checkpoint, 1));
      return Log(fixture.root / "organ").scan({}, [](const LogPlace&, const LogEntry&) {}).end;
    }();
    LogEntry entry;
    entry.kind = LogKind::alias;
    entry.time = "2026-01-02T03:04:05Z";
    entry.name = "legal/contracts";
    entry.alias = "stable";
    entry.version = "1.0.0";
    Log(fixture.root / "organ")
        .append(end, entry, thief.verifier_key(thief.name_below("organ-registry/")));
    CHECK(contains(user.refusal(), "untrusted: "));
    CHECK(contains(error_of([&] { fixture.open(Mode::read); }), "is the log's key"));
  }
  SUBCASE("another root that follows the first one") {
    // Only the key of root 2 may sign root 3.
    const NoteSigner other = NoteSigner::generate();
    LogRoot forged = writer.root();
    ++forged.version;
    forged.log_key = other.verifier_key(thief.name_below("organ-registry/"));
    forged.keys = {forged.log_key};
    SignedNote note{.text = root_note_text(forged, thief.name_below("organ-registry/")),
                    .signatures = {}};
    for (const NoteSigner* key : {&thief, &other}) {
      note.signatures.push_back(key->sign(thief.name_below("organ-registry/"), note.text));
    }
    CHECK(contains(error_of([&] { writer.apply_root(note.to_string()); }),
                   "signed by 0 keys of root 2"));
  }
}

TEST_CASE("rotation: a next key that somebody put there is not taken") {
  const Fixture fixture;
  const NoteSigner planted = NoteSigner::generate();
  planted.save(fixture.root / "organ" / "log.key.next");
  fixture.publish("1.0.0");
  Registry writer = fixture.open();
  const fs::path next = fixture.root / "organ" / "log.key.next";
  const std::string waiting = slurp(next);
  CHECK(contains(error_of([&] { rotate(writer); }), "conflict: "));
  CHECK(contains(error_of([&] { rotate(writer); }), "a next key of the log waits"));
  CHECK(slurp(next) == waiting);
  const auto discarding = [&] { return rotated(writer, Registry::Waiting::is_discarded); };
  writer.apply_root(writer.sign_root(discarding()));
  CHECK(writer.log_key() != planted.verifier_key(origin_of(writer.root())));
  // Nor one that takes its place between the root and its entry.
  const std::string note = writer.sign_root(rotated(writer));
  writer.keep_log_key();
  fs::remove(next);
  planted.save(next);
  CHECK(contains(error_of([&] { writer.apply_root(note); }), "conflict: "));
  CHECK(contains(error_of([&] { fixture.open().apply_root(note); }), "untrusted: "));
  writer.apply_root(writer.sign_root(discarding()));
  CHECK(writer.root().version == 3);
  CHECK(check_log(fixture.root).findings.empty());
}

TEST_CASE("rotation: a crash at any step is completed by the next writer, and read meanwhile") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const User user{&fixture};
  user.open();
  const auto before = key_files(fixture);
  std::map<std::string, std::optional<std::string>> prepared;
  {
    Registry writer = fixture.open();
    const std::string note = writer.sign_root(rotated(writer));
    CHECK(!fs::exists(fixture.root / "organ" / "log.key.next"));
    writer.keep_log_key();
    prepared = key_files(fixture);
    // The next key is there, nothing names it yet: all goes on, under both.
    CHECK(user.open().list().size() == 1);
    fixture.publish("1.1.0");
    CHECK(user.open().list().size() == 2);
    writer.apply_root(note);
  }
  const auto after = key_files(fixture);
  REQUIRE(prepared.at("log.key.next") == after.at("log.key"));
  SUBCASE("the entry is there, the old key is still pinned") {
    for (const char* name : kKeyFiles) put(fixture, name, prepared.at(name));
  }
  SUBCASE("pinned, the file of the key is the old one") {
    for (const char* name : kKeyFiles) put(fixture, name, prepared.at(name));
    put(fixture, "trust/log.vkey", after.at("trust/log.vkey"));
  }
  CHECK(user.open().root().version == 2);
  CHECK(user.refusal() == "no error");
  CHECK(fixture.open(Mode::read).list().size() == 2);
  fixture.publish("1.2.0");
  CHECK(key_files(fixture) == after);
  CHECK(user.open(Mode::write).list().size() == 3);
  CHECK(all_findings(fixture.open(Mode::read).verify_all()) == "no finding");
}

TEST_CASE("rotation: what is refused leaves the key that waits, and none where none waited") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const fs::path next = fixture.root / "organ" / "log.key.next";
  Registry writer = fixture.open();
  LogRoot bad = rotated(writer);
  ++bad.version;
  CHECK(contains(error_of([&] { writer.apply_root(writer.sign_root(bad)); }), "does not follow"));
  CHECK(!fs::exists(next));
  const LogRoot good = rotated(writer);
  const std::string note = writer.sign_root(good);
  writer.keep_log_key();
  const std::string waiting = slurp(next);
  Registry other = fixture.open();
  CHECK(contains(error_of([&] { other.prepare_log_key(); }), "conflict: "));
  CHECK(contains(error_of([&] { other.apply_root(other.sign_root(bad)); }), "untrusted: "));
  CHECK(slurp(next) == waiting);
  other.apply_root(note);  // by the file alone
  CHECK(other.log_key() == good.log_key);
  CHECK(!fs::exists(next));
}

TEST_CASE("rotation: the next key is for those who may read the one before") {
  const Fixture fixture;
  const fs::path key = fixture.root / "organ" / "log.key";
  fs::permissions(key, fs::perms::owner_read);
  const bool is_superuser = ::geteuid() == 0;
  constexpr uid_t kSomebody = 54321;
  if (is_superuser) REQUIRE(::chown(key.c_str(), kSomebody, kSomebody) == 0);
  Registry writer = fixture.open();
  const std::string next_key = writer.prepare_log_key();
  writer.keep_log_key();
  struct stat status {};
  REQUIRE(::stat((fixture.root / "organ" / "log.key.next").c_str(), &status) == 0);
  CHECK((status.st_mode & 07777u) == 0400);
  if (is_superuser) CHECK((status.st_uid == kSomebody && status.st_gid == kSomebody));
  LogRoot next = writer.root();
  ++next.version;
  next.log_key = next_key;
  next.keys = {next_key};
  writer.apply_root(writer.sign_root(next));
  REQUIRE(::stat(key.c_str(), &status) == 0);
  CHECK((status.st_mode & 07777u) == 0400);
}

TEST_CASE("rotation: keys apart from the log's, as many as the root asks for") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  Registry writer = fixture.open();
  const std::vector<NoteSigner> roots{NoteSigner::generate(), NoteSigner::generate(),
                                      NoteSigner::generate()};
  const std::string names[] = {"a.example", "b.example", "c.example"};
  LogRoot next = writer.root();
  ++next.version;
  next.keys.clear();
  for (std::size_t i = 0; i < 3; ++i) next.keys.push_back(roots[i].verifier_key(names[i]));
  next.threshold = 2;
  const auto with = [&](const LogRoot& root, const std::vector<std::size_t>& signers) {
    SignedNote note = SignedNote::parse(writer.sign_root(root), "root");
    for (const std::size_t i : signers) {
      note.signatures.push_back(roots[i].sign(names[i], note.text));
    }
    return note.to_string();
  };
  CHECK(contains(error_of([&] { writer.apply_root(with(next, {0})); }), "by 1 of its own keys"));
  writer.apply_root(with(next, {0, 2}));
  // The log's key may no longer hand over by itself.
  CHECK(
      contains(error_of([&] { rotate(writer); }), "signed by 0 keys of root 2, which asks for 2"));
  writer.apply_root(with(rotated(writer), {1, 2}));
  CHECK(writer.root().version == 3);
  CHECK(fixture.publish("1.1.0").log_index == 5);
  // A root that names a log key of somebody else is none of this registry.
  LogRoot foreign = writer.root();
  ++foreign.version;
  foreign.log_key = NoteSigner::generate().verifier_key(origin_of(foreign));
  CHECK(contains(error_of([&] {
                   writer.apply_root(with(foreign, {0, 1}));
                 }),
                 "this registry's next one is another"));
}

TEST_CASE("rotation: the end of a key is told ahead, and ends reading and writing") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const User user{&fixture};
  Registry writer = fixture.open();
  apply_with(writer, [](LogRoot& root) { root.expires = moment_in(90 * kDay); });
  user.open();
  CHECK(user.open().take_notices().empty());
  apply_with(writer, [](LogRoot& root) { root.expires = moment_in(10 * kDay); });
  user.open();
  CHECK(any_contains(user.open().take_notices(), "its log key counts until"));
  apply_with(writer, [](LogRoot& root) { root.expires = moment_in(-5); });
  CHECK(contains(user.refusal(), "expired: its log key counted until"));
  CHECK(contains(error_of([&] { fixture.publish("1.1.0"); }), "expired: "));
  CHECK(contains(error_of([&] { writer.renew(); }), "expired: "));
  REQUIRE(check_log(fixture.root).findings.size() == 1);
  LogRoot next = rotated(writer);
  next.expires.clear();
  writer.apply_root(writer.sign_root(next));
  CHECK(user.refusal() == "no error");
  CHECK(fixture.publish("1.1.0").log_index == 7);
}

TEST_CASE("rotation: the age that a root demands is everybody's") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  Registry writer = fixture.open();
  apply_with(writer, [](LogRoot& root) { root.max_age = 2 * kDay; });
  const User user{&fixture};
  CHECK(user.open().max_age() == 2 * kDay);
  const std::string note =
      sign_checkpoint({NoteSigner::load(fixture.root / "organ" / "log.key")},
                      Log(fixture.root / "organ").checkpoint(), NoteKind::checkpoint,
                      static_cast<std::uint64_t>(format::clock_seconds()) - 3 * kDay);
  spill(fixture.root / "organ" / "checkpoint", note);
  CHECK(contains(user.refusal(), "freeze: "));
  CHECK(contains(error_of([&] { fixture.open(Mode::read); }), "freeze: "));
  CHECK(contains(check_log(fixture.root).findings.front().message, "freeze: "));
  writer.renew();
  CHECK(user.refusal() == "no error");
  // Asked for less, who knew more is told.
  user.open();
  apply_with(writer, [](LogRoot& root) { root.max_age.reset(); });
  CHECK(any_contains(user.open().take_notices(), "its root asks for less: "));
}

TEST_CASE(
    "rotation: what an organ of before roots remembers goes on, and it reads what is written") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const User user{&fixture};
  user.open();
  // What is remembered of a log as it was then has no word of what came since.
  const auto remembered = [&] {
    std::string texts;
    for (const std::string& name : list_folder(user.known)) {
      if (name.ends_with(".json")) texts += slurp(user.known / name);
    }
    return texts;
  };
  CHECK(contains(remembered(), "\"rules\":"));
  CHECK(!contains(remembered(), "\"roots\":"));
  CHECK(!contains(remembered(), "\"max_age\":"));
  CHECK(user.open().root() == LogRoot::first(user.open().log_key()));
  Registry writer = fixture.open();
  rotate(writer);
  CHECK(user.open().root().version == 2);
  CHECK(contains(remembered(), "\"roots\":"));
  CHECK(user.open().root().version == 2);
}
