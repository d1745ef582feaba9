// SPDX-License-Identifier: Apache-2.0
#include "registry/history/log_proof.h"

#include <chrono>
#include <thread>

#include <fmt/core.h>

#include "format/manifest/manifest.h"
#include "registry/log/log.h"
#include "registry/log/moment.h"
#include "registry/trust/known_logs.h"
#include "tests/registry/support.h"

using namespace organ;
using namespace organ::registry;
using namespace organ::test;

namespace {

struct Published {
  Fixture fixture;
  std::string log_key;

  explicit Published(int versions) {
    for (int i = 0; i < versions; ++i) fixture.publish(fmt::format("1.{}.0", i));
    log_key = fixture.open(Registry::Mode::read).log_key();
  }
  LogProof prove(std::uint64_t index) const { return prove_entry(fixture.root, index); }
  std::string refusal(const LogProof& proof) const {
    return error_of([&] { check_proof(proof, {.log_key = log_key}, "proof"); });
  }
};

}  // namespace

TEST_CASE("log proof: every entry is proved, survives its text, and needs no registry") {
  const Published log(6);
  const auto history = log.fixture.open(Registry::Mode::read).history();
  std::vector<LogProof> proofs;
  proofs.reserve(history.size());
  for (const LogRecord& record : history) proofs.push_back(log.prove(record.index));
  fs::remove_all(log.fixture.root);
  for (const LogRecord& record : history) {
    const std::string text = proofs[record.index].to_text();
    const LogProof proof = LogProof::parse(text, "proof");
    CHECK(proof.to_text() == text);
    const ProvedEntry proved = check_proof(proof, {.log_key = log.log_key}, "proof");
    CHECK(proved.entry == record.entry);
    CHECK(proved.entries == history.size());
  }
}

TEST_CASE("log proof: an entry that is not there") {
  const Published log(1);
  CHECK(contains(error_of([&] { log.prove(3); }), "not_found: "));
  CHECK(contains(error_of([&] { log.prove(UINT64_MAX); }), "there are 3, counted from 0"));
}

TEST_CASE("log proof: changed in any part it is refused") {
  const Published log(5), other(5);
  const LogProof good = log.prove(4);
  REQUIRE(log.refusal(good) == "no error");
  LogProof bad = good;
  bad.index = 3;
  CHECK(contains(log.refusal(bad), "do not lead to the root"));
  bad.index = 7;
  CHECK(contains(log.refusal(bad), "corrupt: proof: entry 7 of a log of 7 entries"));
  bad = good;
  bad.entry.replace(bad.entry.find("1.2.0"), 5, "9.2.0");
  CHECK(contains(log.refusal(bad), "corrupt: proof: the entry and its"));
  bad = good;
  bad.hashes.pop_back();
  CHECK(contains(log.refusal(bad), "do not lead to the root"));
  bad = good;
  bad.hashes.front() = sha256("x");
  CHECK(contains(log.refusal(bad), "do not lead to the root"));
  bad = good;
  bad.checkpoint = other.prove(4).checkpoint;
  CHECK(contains(log.refusal(bad), "untrusted: "));
  // Whole, and of a registry of somebody else.
  CHECK(contains(log.refusal(other.prove(4)), "untrusted: proof: it is about the log of key"));
}

TEST_CASE("log proof: without a key only a registry that was met is believed") {
  const Published log(1);
  const fs::path known = log.fixture.folder.path() / "config";
  const LogProof proof = log.prove(2);
  const auto refusal = [&] {
    return error_of([&] { check_proof(proof, {.known_registries = known}, "proof"); });
  };
  CHECK(contains(refusal(), "untrusted: "));
  CHECK(contains(refusal(), "of no registry that you have met"));
  Registry::open(log.fixture.root, Registry::Mode::read, {.known_registries = known});
  CHECK(refusal() == "no error");
  CHECK(contains(error_of([&] { check_proof(proof, {}, "proof"); }), "untrusted: "));
}

TEST_CASE("log proof: what is known of the log holds for a proof too") {
  const Published log(2);
  const fs::path known = log.fixture.folder.path() / "config";
  const OpenOptions user{.known_registries = known};
  const auto meet = [&] { Registry::open(log.fixture.root, Registry::Mode::read, user); };
  const auto refusal = [&](const LogProof& proof, const OpenOptions& trusted) {
    return error_of([&] { check_proof(proof, trusted, "proof"); });
  };
  const fs::path organ = log.fixture.root / "organ";
  const NoteSigner former = NoteSigner::load(organ / "log.key");
  const auto now = static_cast<std::uint64_t>(format::clock_seconds());
  LogProof proof = log.prove(2);
  meet();
  SUBCASE("its age") {
    proof.checkpoint =
        sign_checkpoint({former}, Log(organ).checkpoint(), NoteKind::checkpoint, now - 3 * kDay);
    CHECK(refusal(proof, user) == "no error");
    OpenOptions strict = user;
    strict.max_age = kDay;
    CHECK(contains(refusal(proof, strict), "freeze: "));
    CHECK(contains(refusal(proof, {.log_key = log.log_key, .max_age = kDay}), "freeze: "));
    KnownLogs(known).limit_age(fs::canonical(log.fixture.root), kDay);
    CHECK(contains(refusal(proof, user), "freeze: "));
    CHECK(refusal(log.prove(2), user) == "no error");
  }
  SUBCASE("its witnesses") {
    Registry writer = log.fixture.open();
    LogRoot next = writer.root();
    ++next.version;
    next.witnesses = {NoteSigner::generate().verifier_key("w.example", NoteKeyType::cosigner)};
    next.quorum = 1;
    writer.apply_root(writer.sign_root(next));
    meet();
    CHECK(contains(refusal(log.prove(2), user), "cosigned by 0 of 1 witness, 1 must have"));
    CHECK(refusal(proof, user) == "no error");  // of before
  }
  SUBCASE("its former keys, for what was there before they handed over") {
    Registry writer = log.fixture.open();
    rotate(writer);
    meet();
    REQUIRE(refusal(proof, user) == "no error");
    CHECK(check_proof(proof, user, "proof").by_former_key);
    CHECK_FALSE(check_proof(log.prove(2), user, "proof").by_former_key);
    log.fixture.publish("3.0.0");
    LogProof forged = log.prove(5);
    forged.log_key = log.log_key;
    forged.checkpoint =
        sign_checkpoint({former}, Log(organ).checkpoint(), NoteKind::checkpoint, now);
    CHECK(contains(refusal(forged, user), "its key handed over with entry 4"));
    // A memory that cannot be read stands in no other's way.
    write_file(known / "zz.json", "nonsense");
    CHECK(refusal(proof, user) == "no error");
    CHECK(contains(refusal(Published(1).prove(2), user), "corrupt: "));
  }
  SUBCASE("its newest state") {
    const fs::path fork = log.fixture.folder.path() / "fork";
    fs::copy(log.fixture.root, fork, fs::copy_options::recursive);
    log.fixture.publish("2.0.0");
    meet();
    Registry::open(fork, Registry::Mode::write)
        .publish(format::OrganFolder::open(log.fixture.organ_folder), "legal/contracts",
                 format::Version::parse("2.1.0"), {.key = &log.fixture.key});
    CHECK(contains(refusal(prove_entry(fork, 4), user), "fork: the log of 5 entries"));
    CHECK(refusal(log.prove(4), user) == "no error");
  }
  SUBCASE("the end of its key") {
    Registry writer = log.fixture.open();
    LogRoot next = writer.root();
    ++next.version;
    next.expires = format::time_text(format::clock_seconds() + 8);
    writer.apply_root(writer.sign_root(next));
    meet();
    std::this_thread::sleep_for(std::chrono::milliseconds(8100));
    proof = log.prove(2);
    CHECK(contains(refusal(proof, user), "expired: "));
  }
}

TEST_CASE("log proof: what is no document") {
  const Published log(1);
  const std::string text = log.prove(2).to_text();
  const auto refusal = [](const std::string& bad) {
    return error_of([&] { LogProof::parse(bad, "proof"); });
  };
  const auto replaced = [&](const std::string& what, const std::string& with) {
    std::string bad = text;
    return bad.replace(bad.find(what), what.size(), with);
  };
  CHECK(contains(refusal(replaced("\"schema_version\": 1", "\"schema_version\": 2")),
                 "unsupported_version: "));
  CHECK(contains(refusal(replaced("\"index\"", "\"more\": 1, \"index\"")), "corrupt: proof"));
  std::string other_hash = text;
  CHECK(contains(refusal(other_hash.replace(other_hash.rfind("sha256:"), 7, "sha512:")),
                 "corrupt: proof"));
  CHECK(contains(refusal(text.substr(0, text.size() / 2)), "corrupt: "));
  LogProof long_one = log.prove(2);
  long_one.hashes.assign(66, sha256("x"));
  CHECK(contains(refusal(long_one.to_text()), "at most 65 make a proof"));
  CHECK(contains(refusal(std::string((std::size_t{1} << 20) + 1, ' ')), "corrupt: "));
}
