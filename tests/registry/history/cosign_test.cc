// SPDX-License-Identifier: Apache-2.0
// Witnesses: what they vouch for, what counts without them, and what they refuse.
#include "registry/history/cosign.h"

#include <fmt/core.h>

#include "format/manifest/manifest.h"
#include "registry/history/log_check.h"
#include "registry/history/log_proof.h"
#include "registry/log/log.h"
#include "registry/log/moment.h"
#include "registry/notes/note.h"
#include "tests/registry/history/watched.h"

using namespace organ;
using namespace organ::registry;
using namespace organ::test;
using Mode = Registry::Mode;

TEST_CASE("witnesses: what enough of them have cosigned counts, the rest waits") {
  const Watched watched;
  watched.demand(2);
  CHECK(contains(watched.newest(), "not_found: "));
  CHECK(contains(watched.refusals("1.0.0"), "not witnessed: it is entry 2 of the log"));
  watched.a.vouch();
  CHECK(contains(watched.refusals("1.0.0"), "not witnessed: "));
  watched.a.vouch();  // one counts once
  CHECK(contains(watched.refusals("1.0.0"), "not witnessed: "));
  watched.c.vouch();
  CHECK(watched.refusals("1.0.0").empty());
  CHECK(watched.newest() == "1.0.0");

  watched.fixture.publish("1.1.0");
  CHECK(watched.newest() == "1.0.0");
  CHECK(contains(watched.refusals("1.1.0"), "have cosigned the first 4 entries"));
  CHECK(watched.refusals("1.0.0").empty());
  // Who has cosigned more has cosigned what it begins with.
  watched.fixture.publish("1.2.0");
  watched.a.vouch();
  CHECK(watched.newest() == "1.0.0");
  watched.fixture.publish("1.3.0");
  watched.b.vouch();
  CHECK(watched.newest() == "1.2.0");
  CHECK(contains(watched.refusals("1.3.0"), "have cosigned the first 6 entries"));
  // Who writes goes on meanwhile.
  CHECK(watched.fixture.open().resolve(format::Reference::parse("legal/contracts")).version ==
        "1.3.0");
}

TEST_CASE("witnesses: of what nobody cosigned yet, only what takes away counts") {
  const Watched watched;
  watched.fixture.publish("1.1.0");
  watched.fixture.open().set_alias("legal/contracts", "stable", version("1.0.0"));
  watched.demand(1);
  watched.b.vouch();
  const auto stable = [&] {
    return watched.read().resolve(format::Reference::parse("legal/contracts@stable")).version;
  };
  Registry writer = watched.fixture.open();
  writer.set_alias("legal/contracts", "stable", version("1.1.0"));
  CHECK(stable() == "1.0.0");
  writer.withdraw(Registry::Withdrawal::revoke, "legal/contracts", version("1.1.0"), "bad");
  CHECK(watched.newest() == "1.0.0");
  CHECK(contains(watched.refusals("1.1.0"), "revoked: bad"));
  watched.b.vouch();
  CHECK(stable() == "1.1.0");
  writer.withdraw(Registry::Withdrawal::revoke, "legal/contracts", version("1.1.0"), {});
  CHECK(contains(watched.refusals("1.1.0"), "revoked: bad"));
  // A key that is trusted now speaks for nothing yet.
  const auto other = format::SecretKey::generate(format::Curve::p256);
  writer.trust("*", other.public_key());
  CHECK(watched.read().policy().rules().size() == 1);
  watched.b.vouch();
  CHECK(watched.refusals("1.1.0").empty());
  CHECK(watched.read().policy().rules().size() == 2);
  writer.distrust(watched.fixture.key.public_key().id());
  CHECK(contains(watched.refusals("1.0.0"), "no key is trusted for it"));
  writer.withdraw(Registry::Withdrawal::takedown, "legal/contracts", version("1.1.0"), "a court");
  CHECK(contains(watched.refusals("1.1.0"), "was taken down on"));
}

TEST_CASE("witnesses: a root that asks for fewer of them counts only with their consent") {
  const Watched watched;
  watched.demand(2);
  watched.a.vouch();
  watched.b.vouch();
  watched.change([](LogRoot& root) { root.quorum = 0; });
  watched.fixture.publish("1.1.0");
  CHECK(watched.newest() == "1.0.0");
  CHECK(contains(watched.refusals("1.1.0"), "not witnessed: "));
  watched.b.vouch();
  CHECK(contains(watched.refusals("1.1.0"), "not witnessed: "));
  watched.c.vouch();
  CHECK(watched.newest() == "1.1.0");
}

TEST_CASE("witnesses: none vouches for a history that is not the one it saw") {
  const Watched watched;
  const fs::path yesterday = watched.fixture.folder.path() / "yesterday";
  fs::copy(watched.fixture.root, yesterday, fs::copy_options::recursive);
  watched.fixture.publish("1.1.0");
  watched.a.look();
  const auto put_back = [&] {
    fs::remove_all(watched.fixture.root);
    fs::copy(yesterday, watched.fixture.root, fs::copy_options::recursive);
  };
  put_back();
  CHECK(contains(error_of([&] { watched.a.look(); }), "rollback"));
  watched.fixture.publish("9.0.0");
  CHECK(contains(error_of([&] { watched.a.look(); }), "fork"));
  CHECK(contains(error_of([&] { cosign(watched.fixture.root, {}, watched.a.key, watched.a.name); }),
                 "a witness remembers"));
}

TEST_CASE("witnesses: who meets a registry for the first time learns from them what is hidden") {
  const Watched watched;
  watched.demand(1);
  const fs::path yesterday = watched.fixture.folder.path() / "yesterday";
  fs::copy(watched.fixture.root, yesterday, fs::copy_options::recursive);
  watched.fixture.publish("1.1.0");
  watched.a.vouch();
  const std::string note = slurp(watched.a.file());
  fs::remove_all(watched.fixture.root);
  fs::copy(yesterday, watched.fixture.root, fs::copy_options::recursive);
  fs::create_directories(watched.a.file().parent_path());
  write_file(watched.a.file(), note);
  CHECK(contains(error_of([&] { watched.read(); }), "rollback: it has cosigned 5 entries"));
  watched.fixture.publish("9.0.0");
  CHECK(contains(error_of([&] { watched.read(); }), "fork: it has cosigned 5 entries"));
  const LogCheck check = check_log(watched.fixture.root);
  REQUIRE(check.findings.size() == 1);
  CHECK(contains(check.findings.front().message, "fork: "));
  CHECK(contains(error_of([&] { keep_cosignature(watched.fixture.root, note); }), "fork: "));
}

TEST_CASE("witnesses: what does not count says why, and stands in nobody's way") {
  const Watched watched;
  watched.demand(1, 10 * kDay);
  watched.a.vouch();
  watched.b.vouch();
  REQUIRE(watched.refusals("1.0.0").empty());
  const auto problem = [&](const Witness& witness) {
    for (const LogCheck::Witness& one : check_log(watched.fixture.root).witnesses) {
      if (one.key == witness.verifier()) return one.problem;
    }
    return std::string("left nothing");
  };
  CHECK(problem(watched.a).empty());
  CHECK(problem(watched.c) == "left nothing");
  const auto replace = [&](const std::string& note) { write_file(watched.a.file(), note); };
  replace("nonsense");
  CHECK(contains(problem(watched.a), "not a signed note"));
  replace(slurp(watched.b.file()));
  CHECK(contains(problem(watched.a), "no cosignature of"));
  SignedNote note = SignedNote::parse(watched.a.look().note, "note");
  const auto sign_at = [&](std::uint64_t time) {
    note.signatures.back() = watched.a.key.cosign(watched.a.name, note.text, time);
    replace(note.to_string());
  };
  const auto now = static_cast<std::uint64_t>(format::clock_seconds());
  sign_at(now - 11 * kDay);
  CHECK(contains(problem(watched.a), "more than 10 days ago"));
  sign_at(now + 2 * kDay);
  CHECK(contains(problem(watched.a), "yet to come"));
  char& last = note.signatures.back().value.back();
  last = static_cast<char>(last ^ 1);
  replace(note.to_string());
  CHECK(contains(problem(watched.a), "bad signature"));
  CHECK(watched.refusals("1.0.0").empty());  // the other one is enough
  fs::remove(watched.b.file());
  CHECK(contains(watched.refusals("1.0.0"), "not witnessed: "));
  CHECK(check_log(watched.fixture.root).witnessed == 0);
}

TEST_CASE("witnesses: those who leave need not go on, and strangers are not taken in") {
  const Watched watched;
  watched.demand(1, 10 * kDay);
  watched.a.vouch();
  watched.change([&](LogRoot& root) { root.witnesses = {watched.c.verifier()}; });
  watched.a.vouch();  // to the step itself
  // As if that were long ago.
  SignedNote note = SignedNote::parse(slurp(watched.a.file()), "note");
  note.signatures.back() = watched.a.key.cosign(
      watched.a.name, note.text, static_cast<std::uint64_t>(format::clock_seconds()) - 400 * kDay);
  write_file(watched.a.file(), note.to_string());
  watched.c.vouch();
  CHECK(watched.refusals("1.0.0").empty());
  const Witness stranger{"d.example", &watched.fixture};
  CHECK(contains(error_of([&] { stranger.vouch(); }), "none of the 3 witnesses"));
}

TEST_CASE("witnesses: an older note takes nothing back") {
  const Watched watched;
  watched.demand(1);
  const std::string early = watched.a.look().note;
  watched.fixture.publish("1.1.0");
  watched.a.vouch();
  const std::string kept = slurp(watched.a.file());
  const std::string why = error_of([&] { keep_cosignature(watched.fixture.root, early); });
  CHECK(contains(why, "conflict: the cosigned note: is about 4 entries"));
  CHECK(slurp(watched.a.file()) == kept);
  CHECK(watched.newest() == "1.1.0");
  watched.b.vouch();
  fs::remove(watched.a.file());
  CHECK(keep_cosignature(watched.fixture.root, early) == std::vector{watched.a.verifier()});
}

TEST_CASE("witnesses: a proof takes of their notes what counts") {
  const Watched watched;
  watched.demand(2);
  watched.a.vouch();
  watched.b.vouch();
  // Lines that anybody may add, in each note others: together more than a reader takes.
  for (const Witness* one : {&watched.a, &watched.b}) {
    SignedNote note = SignedNote::parse(slurp(one->file()), "note");
    while (note.signatures.size() < kMostNoteSignatures) {
      const std::string name = fmt::format("{}-{}", one->name, note.signatures.size());
      note.signatures.push_back(NoteSigner::generate().sign(name, note.text));
    }
    write_file(one->file(), note.to_string());
  }
  const LogProof proof = prove_entry(watched.fixture.root, 2);
  const WitnessDemand demand{.witnesses = {watched.a.verifier(), watched.b.verifier()},
                             .quorum = 2};
  CHECK(check_proof(proof, {.log_key = watched.read().log_key()}, "proof", demand).entries == 4);
}

TEST_CASE("witnesses: a proof brings their cosignatures along") {
  const Watched watched;
  watched.demand(2);
  watched.a.vouch();
  watched.b.vouch();
  watched.fixture.publish("1.1.0");
  watched.c.vouch();
  const std::string key = watched.read().log_key();
  const WitnessDemand demand{
      .witnesses = {watched.a.verifier(), watched.b.verifier(), watched.c.verifier()}, .quorum = 2};
  const LogProof proof = prove_entry(watched.fixture.root, 2);
  const ProvedEntry proved = check_proof(proof, {.log_key = key}, "proof", demand);
  CHECK(proved.entries == 4);
  CHECK(proved.witnesses == std::vector{watched.a.verifier(), watched.b.verifier()});
  CHECK(contains(error_of([&] {
                   check_proof(proof, {.log_key = key}, "proof",
                               {.witnesses = demand.witnesses, .quorum = 3});
                 }),
                 "cosigned by 2 of 3 witnesses, 3 must have"));
  // The same key twice is one witness.
  CHECK(contains(error_of([&] {
                   check_proof(
                       proof, {.log_key = key}, "proof",
                       {.witnesses = {watched.a.verifier(), watched.a.verifier()}, .quorum = 2});
                 }),
                 "cosigned by 1 of 2"));
  // Of what too few have cosigned it brings what there is.
  const LogProof newest = prove_entry(watched.fixture.root, 4);
  CHECK(check_proof(newest, {.log_key = key}, "proof").entries == 5);
  CHECK(contains(error_of([&] { check_proof(newest, {.log_key = key}, "proof", demand); }),
                 "cosigned by 1 of 3 witnesses, 2 must have"));
}
