// SPDX-License-Identifier: Apache-2.0
// What happens to a version after it was published: withdrawals, keys that come and go, damage.
#include <algorithm>

#include <fmt/core.h>

#include "registry/catalog/internal/sqlite.h"
#include "tests/registry/support.h"

using namespace organ;
using namespace organ::registry;
using namespace organ::test;
using Mode = Registry::Mode;
using Withdrawal = Registry::Withdrawal;

namespace {

constexpr char kName[] = "legal/contracts";

TrustVerdict verdict_on(const Registry& registry, const std::string& text) {
  const auto found = registry.resolve(reference(text));
  return registry.evaluate(found, *registry.open_organ(found));
}

std::string newest(const Fixture& fixture) {
  return fixture.open(Mode::read).resolve(reference(kName)).version;
}

std::string flipped(std::string bytes, std::size_t at) {
  bytes[at] = static_cast<char>(bytes[at] ^ 1);
  return bytes;
}

}  // namespace

TEST_CASE("life: a yanked version is hidden, a revoked one refused, and both come back") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  fixture.publish("1.1.0");
  for (const Withdrawal kind : {Withdrawal::yank, Withdrawal::revoke}) {
    fixture.open().withdraw(kind, kName, version("1.1.0"), "trained on drafts");
    CHECK(newest(fixture) == "1.0.0");
    const auto verdict = verdict_on(fixture.open(Mode::read), "legal/contracts:1.1.0");
    CHECK(verdict.trusted() == (kind == Withdrawal::yank));
    const auto entries = fixture.open(Mode::read).history().size();
    fixture.open().withdraw(kind, kName, version("1.1.0"), "trained on drafts");
    CHECK(fixture.open(Mode::read).history().size() == entries);  // nothing new was said
    fixture.open().withdraw(kind, kName, version("1.1.0"), std::nullopt);
    CHECK(newest(fixture) == "1.1.0");
    CHECK(verdict_on(fixture.open(Mode::read), "legal/contracts:1.1.0").warnings.empty());
  }
  CHECK(contains(
      error_of([&] { fixture.open().withdraw(Withdrawal::yank, kName, version("7.0.0"), "x"); }),
      "not_found: "));
  CHECK(all_findings(fixture.open(Mode::read).verify_all()) == "no finding");
}

TEST_CASE("life: a range finds the newest version in it that was not withdrawn") {
  const Fixture fixture;
  for (const char* text : {"1.0.0", "1.9.0", "1.10.0", "2.0.0-rc.1", "2.0.0-rc.2"}) {
    fixture.publish(text);
  }
  const auto found = [&](const std::string& range) {
    return fixture.open(Mode::read).resolve(reference("legal/contracts@" + range)).version;
  };
  const auto refusal = [&](const std::string& range) { return error_of([&] { found(range); }); };
  CHECK(found("^1.0") == "1.10.0");
  CHECK(found("<1.10") == "1.9.0");
  CHECK(found(">=2.0.0-rc.1") == "2.0.0-rc.2");
  CHECK(found("*") == "1.10.0");
  CHECK(found("^1 || <=2.0.0-rc.1") == "2.0.0-rc.1");
  CHECK(contains(refusal(">=2"), "not_found: "));
  CHECK(contains(refusal(">=2"), "no version in this range that was not withdrawn"));
  for (const Withdrawal kind : {Withdrawal::yank, Withdrawal::revoke}) {
    fixture.open().withdraw(kind, kName, version("1.10.0"), "a draft");
    fixture.open().withdraw(kind, kName, version("2.0.0-rc.2"), "a draft");
    CHECK(found("^1.0") == "1.9.0");
    CHECK(found(">=2.0.0-rc.1") == "2.0.0-rc.1");
    CHECK(contains(refusal("=1.10.0"), "not_found: "));
    CHECK(fixture.open(Mode::read).resolve(reference("legal/contracts:1.10.0")).version ==
          "1.10.0");
    fixture.open().withdraw(kind, kName, version("1.10.0"), std::nullopt);
    fixture.open().withdraw(kind, kName, version("2.0.0-rc.2"), std::nullopt);
  }
  CHECK(contains(error_of([&] { fixture.open().set_alias(kName, "1.x", version("1.0.0")); }),
                 "not an alias"));
}

TEST_CASE("life: a superseded version says what takes its place, and nothing is refused") {
  const Fixture fixture;
  for (const char* text : {"1.0.0", "1.1.0", "1.2.0"}) fixture.publish(text);
  fixture.publish("1.0.0", "legal/other");
  const auto said = [&](const std::string& text) {
    return fixture.open(Mode::read).resolve(reference("legal/contracts:" + text)).superseded;
  };
  const auto supersede = [&](const std::string& text, const std::optional<Supersession>& by) {
    return error_of([&] { fixture.open().supersede(kName, version(text), by); });
  };
  const Supersession renamed{"legal/other:1.0.0", "renamed"};
  CHECK(supersede("1.0.0", Supersession{"legal/contracts:1.1.0", "new laws"}) == "no error");
  CHECK(supersede("1.1.0", renamed) == "no error");
  CHECK(said("1.0.0") == Supersession{"legal/contracts:1.1.0", "new laws"});
  CHECK(said("1.1.0") == renamed);
  CHECK_FALSE(said("1.2.0"));
  CHECK(fixture.open(Mode::read).list({.name = "legal/contracts"})[1].superseded == renamed);
  CHECK(newest(fixture) == "1.2.0");
  const auto verdict = verdict_on(fixture.open(Mode::read), "legal/contracts:1.1.0");
  CHECK(verdict.trusted());
  CHECK(verdict.warnings.empty());
  const auto entries = fixture.open(Mode::read).history().size();
  CHECK(supersede("1.1.0", renamed) == "no error");
  CHECK(fixture.open(Mode::read).history().size() == entries);  // nothing new was said

  CHECK(contains(supersede("7.0.0", renamed), "not_found: "));
  CHECK(contains(supersede("1.2.0", Supersession{"legal/none:1.0.0", "x"}), "not_found: "));
  CHECK(contains(supersede("1.2.0", Supersession{"legal/contracts", "x"}), "invalid_argument: "));
  CHECK(contains(supersede("1.2.0", Supersession{"legal/other:1.0.0", ""}), "a reason of 0 bytes"));
  CHECK(contains(supersede("1.2.0", Supersession{"legal/contracts:1.2.0", "x"}), "by itself"));
  CHECK(contains(supersede("1.1.0", Supersession{"legal/contracts:1.0.0", "x"}), "by itself"));
  fixture.open().withdraw(Withdrawal::yank, "legal/other", version("1.0.0"), "a draft");
  CHECK(contains(supersede("1.2.0", renamed), "was withdrawn itself"));
  CHECK(said("1.1.0") == renamed);

  CHECK(supersede("1.1.0", std::nullopt) == "no error");
  CHECK_FALSE(said("1.1.0"));
  CHECK(fixture.open(Mode::read).history().back().entry.withdrawn);
  CHECK(all_findings(fixture.open(Mode::read).verify_all()) == "no finding");
  const std::string dump = fixture.open(Mode::read).dump();
  Registry::rebuild(fixture.root);
  CHECK(fixture.open(Mode::read).dump() == dump);
}

TEST_CASE("life: rules that nobody could read back are refused before the first is entered") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const format::PublicKey key = fixture.key.public_key();
  Policy wide;
  for (int i = 0; i < 6'000; ++i) wide.trust(fmt::format("names-that-are-long-{:05}/*", i), key);
  Registry registry = fixture.open();
  const std::size_t entries = registry.history().size();
  const std::string said = error_of([&] { registry.apply(wide); });
  CHECK_MESSAGE(said.starts_with("invalid_argument: policy: would have "), said);
  CHECK(registry.history().size() == entries);
  CHECK(verdict_on(fixture.open(Mode::read), "legal/contracts:1.0.0").trusted());
}

TEST_CASE("life: the rules in force are those the log says") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const auto second = format::SecretKey::generate(format::Curve::p384);
  Registry registry = fixture.open();
  CHECK(registry.trust("legal/*", second.public_key()));
  CHECK_FALSE(registry.trust("legal/*", second.public_key()));
  registry.set_rule("legal/*", PolicyMode::enforce, 2);
  CHECK(registry.policy().rules().front().threshold == 2);
  CHECK_FALSE(verdict_on(registry, "legal/contracts:1.0.0").trusted());
  SUBCASE("a threshold above the number of keys is refused") {
    CHECK(contains(error_of([&] { registry.set_rule("legal/*", PolicyMode::enforce, 3); }),
                   "expected 1 to 2"));
  }
  SUBCASE("a key that is distrusted counts nowhere") {
    registry.set_rule("legal/*", PolicyMode::enforce, 1);
    CHECK(verdict_on(registry, "legal/contracts:1.0.0").trusted());
    CHECK(registry.distrust(fixture.key.public_key().id()));
    CHECK_FALSE(registry.distrust(fixture.key.public_key().id()));
    CHECK_FALSE(verdict_on(fixture.open(Mode::read), "legal/contracts:1.0.0").trusted());
  }
  SUBCASE("a rule that lost its keys is satisfied by nothing") {
    CHECK(registry.distrust(second.public_key().id(), "legal/*"));
    CHECK_FALSE(verdict_on(fixture.open(Mode::read), "legal/contracts:1.0.0").trusted());
    CHECK_NOTHROW(fixture.open(Mode::read).policy());
  }
  SUBCASE("a policy as a whole") {
    Policy wanted;
    wanted.trust("medical/*", second.public_key());
    registry.apply(wanted);
    const Policy now = fixture.open(Mode::read).policy();
    CHECK(now.rule_for("medical/x").keys.size() == 1);
    CHECK(now.rule_for("legal/x").keys.empty());
    CHECK_FALSE(verdict_on(fixture.open(Mode::read), "legal/contracts:1.0.0").trusted());
  }
  CHECK(slurp(fixture.root / "organ" / "policy.json") ==
        fixture.open(Mode::read).policy().to_text());
}

TEST_CASE("life: what somebody writes into policy.json is not in force") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const auto mallory = format::SecretKey::generate(format::Curve::p256);
  const std::string id = mallory.public_key().id().to_string();
  write_file(fixture.root / "organ" / "trust" / (mallory.public_key().id().hex() + ".pem"),
             mallory.public_key().pem());
  const fs::path shown = fixture.root / "organ" / "policy.json";
  const std::string good = slurp(shown);
  spill(shown,
        "{\"schema_version\":1,\"rules\":[{\"pattern\":\"*\",\"mode\":\"enforce\","
        "\"threshold\":1,\"keys\":[\"" +
            id + "\"]}]}");
  CHECK(contains(error_of([&] { fixture.open(Mode::read).policy(); }), "untrusted: "));
  CHECK(contains(error_of([&] { verdict_on(fixture.open(Mode::read), kName); }),
                 "its rules are not those of the log's signed entries"));
  fixture.open().restore_policy();
  CHECK(slurp(shown) == good);
  CHECK(verdict_on(fixture.open(Mode::read), kName).trusted());
}

TEST_CASE("life: one damaged version harms no other, and the same folder mends it") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const Digest damaged = fixture.publish("1.1.0").digest;
  fixture.publish("1.2.0");
  const std::string good = slurp(fixture.blob(damaged));
  spill(fixture.blob(damaged), flipped(good, 20));
  fs::remove(fixture.root / "organ" / "catalog.db");
  const auto works = [&] {
    CHECK(fixture.open(Mode::read).list().size() == 3);
    CHECK(verdict_on(fixture.open(Mode::read), "legal/contracts:1.2.0").trusted());
    CHECK(contains(error_of([&] { verdict_on(fixture.open(Mode::read), "legal/contracts:1.1.0"); }),
                   "content has digest"));
  };
  works();
  Registry::rebuild(fixture.root);
  works();
  fixture.publish("1.3.0");
  CHECK(contains(all_findings(fixture.open(Mode::read).verify_all()),
                 "corrupt: legal/contracts:1.1.0"));
  const auto result = fixture.publish("1.1.0");
  CHECK(result.already_published);
  CHECK(result.mended == 1);
  CHECK(slurp(fixture.blob(damaged)) == good);
  CHECK(all_findings(fixture.open(Mode::read).verify_all()) == "no finding");
  CHECK_FALSE(fixture.open(Mode::read).resolve(reference("legal/contracts:1.1.0")).damage);
}

TEST_CASE("life: a new version does not take over a damaged blob") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const auto organ = format::OrganFolder::open(fixture.organ_folder);
  const auto& layer = organ.manifest().files.back();
  const std::string good = slurp(fixture.blob(layer.digest));
  spill(fixture.blob(layer.digest), flipped(good, good.size() - 5));
  CHECK(fixture.publish("2.0.0").mended == 1);
  CHECK(slurp(fixture.blob(layer.digest)) == good);
  CHECK(all_findings(fixture.open(Mode::read).verify_all()) == "no finding");
}

TEST_CASE("life: signatures of strangers, good or rotten, stand in nobody's way") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  const auto organ = format::OrganFolder::open(fixture.organ_folder);
  for (int i = 0; i < 70; ++i) {
    const auto stranger = format::SecretKey::generate(format::Curve::p256);
    fixture.open().publish(organ, kName, version("1.0.0"), {.key = &stranger});
  }
  const Registry registry = fixture.open(Mode::read);
  CHECK(registry.resolve(reference(kName)).signature_count == 71);
  CHECK(verdict_on(registry, kName).trusted());
  Database rows(fixture.root / "organ" / "catalog.db", Database::Open::existing);
  Statement last = rows.prepare("SELECT manifest_digest FROM signatures ORDER BY log_index DESC");
  REQUIRE(last.step());
  const fs::path rotten = fixture.blob(Digest::parse(last.text(0)));
  spill(rotten, flipped(slurp(rotten), 30));
  const auto verdict = verdict_on(fixture.open(Mode::read), kName);
  CHECK(verdict.trusted());
  CHECK(std::ranges::any_of(verdict.warnings, [](const auto& warning) {
    return contains(warning.message, "content has digest");
  }));
  CHECK(contains(all_findings(fixture.open(Mode::read).verify_all()), "corrupt: "));
}
