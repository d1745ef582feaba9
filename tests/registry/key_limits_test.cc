// SPDX-License-Identifier: Apache-2.0
// Publishers' keys that come to an end, and keys that are taken back: what the log entered before
// stays, what comes after does not count.
#include <chrono>
#include <thread>

#include "format/manifest/manifest.h"
#include "registry/log/log.h"
#include "registry/log/moment.h"
#include "tests/registry/support.h"

using namespace organ;
using namespace organ::registry;
using namespace organ::test;
using Mode = Registry::Mode;

namespace {

constexpr char kPattern[] = "legal/*";
constexpr std::int64_t kSecondsOfDay = 86'400;

std::string moment_in(std::int64_t seconds) {
  return format::time_text(format::clock_seconds() + seconds);
}

TrustVerdict verdict(const Fixture& fixture, const std::string& version) {
  const Registry registry = fixture.open(Mode::read);
  const auto found = registry.resolve(format::Reference::parse("legal/contracts:" + version));
  return registry.evaluate(found, *registry.open_organ(found));
}

std::string all(const std::vector<format::Finding>& findings) {
  std::string text;
  for (const format::Finding& finding : findings) text += finding.message + "\n";
  return text;
}

std::string refusals(const Fixture& fixture, const std::string& version) {
  return all(verdict(fixture, version).refusals);
}

// Another signature of what is there, by the same key or another one.
std::string sign_again(const Fixture& fixture, const std::string& version,
                       const format::SecretKey& key) {
  return error_of([&] {
    fixture.open().publish(format::OrganFolder::open(fixture.organ_folder), "legal/contracts",
                           format::Version::parse(version), {.key = &key});
  });
}

}  // namespace

TEST_CASE("key limits: a retired key counts for what the log had, and for nothing later") {
  const Fixture fixture;
  fixture.publish("1.0.0");
  fixture.publish("1.1.0");
  Registry writer = fixture.open();
  const format::KeyId id = fixture.key.public_key().id();
  CHECK(writer.retire(id));
  CHECK_FALSE(writer.retire(id));
  CHECK(refusals(fixture, "1.0.0").empty());
  CHECK(refusals(fixture, "1.1.0").empty());
  CHECK(contains(error_of([&] { fixture.publish("1.2.0"); }), "untrusted: "));
  CHECK(contains(error_of([&] { fixture.publish("1.2.0"); }), "is retired from entry 4"));
  // Stolen before it was noticed: from an earlier entry on.
  CHECK(writer.retire(id, 3));
  CHECK(refusals(fixture, "1.0.0").empty());
  CHECK(contains(refusals(fixture, "1.1.0"), "is retired from entry 3 of the log on"));
  CHECK_FALSE(writer.retire(id, 4));  // never less
  CHECK(contains(error_of([&] { writer.retire(id, 900); }), "is yet to come"));
  // Another key may vouch for it instead.
  const auto other = format::SecretKey::generate(format::Curve::p256);
  writer.trust(kPattern, other.public_key());
  CHECK(sign_again(fixture, "1.1.0", other) == "no error");
  CHECK(refusals(fixture, "1.1.0").empty());
  CHECK(refusals(fixture, "1.0.0").empty());
  // What a retired key signed is still no leave to change it.
  CHECK(all_findings(fixture.open(Mode::read).verify_all()) == "no finding");
}

TEST_CASE("key limits: a signature counts from the entry that brought it, not from its version's") {
  const Fixture fixture;
  const auto late = format::SecretKey::generate(format::Curve::p256);
  Registry writer = fixture.open();
  writer.trust(kPattern, late.public_key());
  fixture.publish("1.0.0");
  writer.set_rule(kPattern, PolicyMode::enforce, 2);
  CHECK(contains(refusals(fixture, "1.0.0"), "signed by 1 of the 2 trusted keys"));
  // Its second signature comes as entry 6.
  writer.set_rule(kPattern, PolicyMode::enforce, 1);
  REQUIRE(sign_again(fixture, "1.0.0", late) == "no error");
  writer.set_rule(kPattern, PolicyMode::enforce, 2);
  REQUIRE(refusals(fixture, "1.0.0").empty());
  writer.retire(late.public_key().id(), 5);
  CHECK(contains(refusals(fixture, "1.0.0"), "did not come before"));
}

TEST_CASE("key limits: a key counts until its end, by the time of the entry") {
  const Fixture fixture;
  Registry writer = fixture.open();
  fixture.publish("1.0.0");
  const auto key = fixture.key.public_key();
  const std::string end = moment_in(5);
  CHECK(writer.trust(kPattern, key, end));
  CHECK_FALSE(writer.trust(kPattern, key, end));
  CHECK_FALSE(writer.trust(kPattern, key));  // which takes no end away
  CHECK(contains(all(verdict(fixture, "1.0.0").warnings), "counts until " + end));
  std::this_thread::sleep_for(std::chrono::milliseconds(6100));
  const TrustVerdict after = verdict(fixture, "1.0.0");
  CHECK(after.trusted());
  CHECK(after.warnings.empty());
  CHECK(contains(after.policy.back(), "this signature came before"));
  CHECK(contains(error_of([&] { fixture.publish("1.1.0"); }), "counted until " + end));
  // Given more time it goes on.
  CHECK(writer.trust(kPattern, key, moment_in(90 * kDay)));
  fixture.publish("1.1.0");
  CHECK(verdict(fixture, "1.1.0").warnings.empty());
  writer.trust(kPattern, key, moment_in(20 * kDay));
  CHECK(contains(all(verdict(fixture, "1.1.0").warnings), "what is published later needs another"));
  writer.trust(kPattern, key, moment_in(-3600));
  CHECK(contains(refusals(fixture, "1.1.0"), "counted until"));
}

TEST_CASE("key limits: an entry that claims to be older than the one before it is not") {
  const Fixture fixture;
  const auto ended = format::SecretKey::generate(format::Curve::p256);
  Registry writer = fixture.open();
  writer.trust(kPattern, ended.public_key());
  fixture.publish("1.0.0");
  // What the ended key signed, in the words of another history of the log.
  const fs::path fork = fixture.folder.path() / "fork";
  fs::copy(fixture.root, fork, fs::copy_options::recursive);
  Registry::open(fork, Mode::write)
      .publish(format::OrganFolder::open(fixture.organ_folder), "legal/contracts",
               format::Version::parse("1.0.0"), {.key = &ended});
  LogEntry entry = Registry::open(fork, Mode::read).history("legal/contracts").back().entry;
  REQUIRE(entry.kind == LogKind::signature);
  fs::copy(fork / "blobs", fixture.root / "blobs",
           fs::copy_options::recursive | fs::copy_options::skip_existing);
  writer.trust(kPattern, ended.public_key(), moment_in(-10 * kSecondsOfDay));
  writer.set_rule(kPattern, PolicyMode::enforce, 2);
  entry.time = moment_in(-30 * kSecondsOfDay);
  const Log log(fixture.root / "organ");
  log.append(log.scan({}, [](const LogPlace&, const LogEntry&) {}).end, entry, log.verifier_key());
  CHECK(contains(refusals(fixture, "1.0.0"), "counted until"));
}

TEST_CASE("key limits: outside of a log a retired key counts for nothing") {
  const Fixture fixture;
  Registry writer = fixture.open();
  fixture.publish("1.0.0");
  const auto organ =
      writer.open_organ(writer.resolve(format::Reference::parse("legal/contracts:1.0.0")));
  const auto said = [&] {
    return all(evaluate_policy(writer.policy(), "legal/contracts", *organ).refusals);
  };
  CHECK(said().empty());
  writer.retire(fixture.key.public_key().id());
  CHECK(contains(said(), "is retired: what it signed counts only where the log entered it before"));
}

TEST_CASE("key limits: policy.json shows them, and a policy that is applied changes none") {
  const Fixture fixture;
  Registry writer = fixture.open();
  fixture.publish("1.0.0");
  const auto key = fixture.key.public_key();
  const fs::path file = fixture.root / "organ" / "policy.json";
  const std::string before = slurp(file);
  CHECK(!contains(before, "limits"));
  writer.retire(key.id());
  const std::string shown = slurp(file);
  CHECK(contains(shown, "\"retired\": 3"));
  const auto parsed = [&](const std::string& text) {
    return Policy::parse(text, "policy", fixture.root / "organ" / "trust");
  };
  CHECK(parsed(shown).to_text() == shown);
  const std::uint64_t entries = writer.log_size();
  writer.apply(parsed(shown));
  writer.apply(parsed(before));  // says nothing of limits
  CHECK(writer.log_size() == entries);
  CHECK(contains(error_of([&] { fixture.publish("1.1.0"); }), "is retired"));
  std::string other = shown;
  other.replace(other.find("\"retired\": 3"), 12, "\"retired\": 2");
  CHECK(contains(error_of([&] { writer.apply(parsed(other)); }), "invalid_argument: "));
  // Written by hand it is what nobody signed.
  spill(file, before);
  CHECK(contains(error_of([&] { refusals(fixture, "1.0.0"); }), "no error"));  // the one before
  spill(file, other);
  CHECK(contains(error_of([&] { refusals(fixture, "1.0.0"); }), "not those of the log's"));
}

TEST_CASE("key limits: distrusted and trusted again a key starts anew") {
  const Fixture fixture;
  Registry writer = fixture.open();
  fixture.publish("1.0.0");
  const auto key = fixture.key.public_key();
  writer.retire(key.id());
  writer.trust(kPattern, key, moment_in(90 * kDay));
  CHECK(contains(error_of([&] { fixture.publish("1.1.0"); }), "is retired"));
  writer.distrust(key.id());
  CHECK(contains(refusals(fixture, "1.0.0"), "no key is trusted for it"));
  writer.trust(kPattern, key);
  CHECK(fixture.publish("1.1.0").log_index == 7);
  CHECK(refusals(fixture, "1.0.0").empty());
}

TEST_CASE("key limits: what is no time and no mode is the caller's mistake, and changes nothing") {
  const Fixture fixture;
  Registry writer = fixture.open();
  const auto before = writer.log_size();
  const format::PublicKey other = format::SecretKey::generate(format::Curve::p256).public_key();
  CHECK(error_of([&] {
          writer.trust(kPattern, other, "garbage");
        }).starts_with("invalid_argument: expires: 'garbage'"));
  CHECK(error_of([&] {
          writer.set_rule(kPattern, static_cast<PolicyMode>(77), 1);
        }).starts_with("invalid_argument: mode: expected enforce, warn or off, got"));
  CHECK(writer.log_size() == before);
}
