// SPDX-License-Identifier: Apache-2.0
// What is stated of a version: attached, carried, judged.
#include "format/signature/attestation.h"
#include "registry/oci/oci.h"
#include "registry/trust/attested.h"
#include "tests/registry/support.h"

using namespace organ;
using namespace organ::registry;
using namespace organ::test;
using format::AttestationType;
using Mode = Registry::Mode;

namespace {

// A registry with one signed version that records figures, and what the key says of it.
struct Attested : Fixture {
  Digest identity;

  Attested() {
    fs::remove_all(organ_folder);
    fs::remove_all(organ_folder.string() + "-donor");
    write_tiny_organ(organ_folder, 1, true);
    identity = publish().digest;
  }
  format::Manifest manifest() const { return open(Mode::read).open_organ(version())->manifest(); }
  ResolvedVersion version() const {
    return open(Mode::read).resolve(reference("legal/contracts:1.0.0"));
  }
  std::string bundle(const format::SecretKey& by, const Digest& about) const {
    const format::Manifest organ = manifest();
    return format::sign_attestation(AttestationType::evaluation, organ, about,
                                    format::recorded_predicate(AttestationType::evaluation, organ),
                                    by);
  }
  std::vector<JudgedAttestation> judged(const TrustOverride& override = {}) const {
    const Registry registry = open(Mode::read);
    const ResolvedVersion found = registry.resolve(reference("legal/contracts:1.0.0"));
    return registry.evaluate(found, *registry.open_organ(found), override).attestations;
  }
};

}  // namespace

TEST_CASE("attestations: attached to a version, with an entry of its own, and no signature of it") {
  const Attested fixture;
  CHECK(fixture.judged().empty());
  const std::string bundle = fixture.bundle(fixture.key, fixture.identity);
  const AttestResult result = fixture.open().attest(fixture.version(), bundle);
  CHECK_FALSE(result.already_attached);
  const Registry registry = fixture.open(Mode::read);
  const LogEntry entry = registry.history().at(result.log_index).entry;
  CHECK(entry.kind == LogKind::attestation);
  CHECK(entry.manifest->digest == fixture.identity);
  REQUIRE(entry.signatures.size() == 1);
  CHECK(entry.signatures[0].digest == result.manifest);
  CHECK(fixture.version().signature_count == 1);
  const auto organ = registry.open_organ(fixture.version());
  CHECK(organ->signature_bundles().size() == 1);
  CHECK(organ->attestation_bundles() == std::vector<std::string>{bundle});
  REQUIRE(fixture.judged().size() == 1);
  CHECK(fixture.judged()[0].trusted);
  CHECK(fixture.judged()[0].statement->evaluations[0].nll == 2.5);
  CHECK(registry.history_of(fixture.version()).back().signers[0].states == "evaluation");
  CHECK(registry.history_of(fixture.version()).back().signers[0].verified);
  CHECK(verify_all(fixture) == "no finding");

  CHECK(fixture.open().attest(fixture.version(), bundle).already_attached);
  CHECK(fixture.open(Mode::read).history().size() == registry.history().size());
}

TEST_CASE("attestations: a catalog that is made anew tells them from signatures") {
  const Attested fixture;
  fixture.open().attest(fixture.version(), fixture.bundle(fixture.key, fixture.identity));
  const std::string before = fixture.open(Mode::read).dump();
  Registry::rebuild(fixture.root);
  CHECK(fixture.open(Mode::read).dump() == before);
  CHECK(fixture.version().signature_count == 1);
  CHECK(fixture.judged().size() == 1);
}

TEST_CASE("attestations: nothing is attached that is about something else or cannot be read") {
  const Attested fixture;
  const auto refusal = [&](const std::string& bundle) {
    return error_of([&] { fixture.open().attest(fixture.version(), bundle); });
  };
  const std::size_t entries = fixture.open(Mode::read).history().size();
  CHECK(contains(refusal(fixture.bundle(fixture.key, sha256("other"))), "invalid_argument: "));
  CHECK(contains(refusal("{}"), "corrupt: "));
  CHECK(contains(refusal(""), "corrupt: "));
  CHECK(contains(refusal(format::sign_resources("x", {{"a", sha256("a")}}, fixture.key)),
                 "no attestation of organ"));
  CHECK(fixture.open(Mode::read).history().size() == entries);
}

TEST_CASE("attestations: a stranger's word is told and does not count, unless the caller says so") {
  const Attested fixture;
  const auto stranger = format::SecretKey::generate(format::Curve::p256);
  fixture.open().attest(fixture.version(), fixture.bundle(stranger, fixture.identity));
  REQUIRE(fixture.judged().size() == 1);
  CHECK_FALSE(fixture.judged()[0].trusted);
  CHECK(contains(fixture.judged()[0].problem, "none of the 1 given"));
  CHECK_FALSE(fixture.judged({.keys = {}, .allow_unsigned = true})[0].trusted);
  CHECK(fixture.judged({.keys = {stranger.public_key()}, .allow_unsigned = false})[0].trusted);
  CHECK(verify_all(fixture) == "no finding");
}

TEST_CASE("attestations: given beside the organ they are judged alike, those of others refused") {
  const Attested fixture;
  TrustOverride override;
  override.attestations = {fixture.bundle(fixture.key, fixture.identity),
                           fixture.bundle(fixture.key, sha256("other")), "no bundle"};
  const auto judged = fixture.judged(override);
  REQUIRE(judged.size() == 3);
  CHECK(judged[0].trusted);
  CHECK_FALSE(judged[1].trusted);
  CHECK(contains(judged[1].problem, "it is about"));
  CHECK_FALSE(judged[2].trusted);
  CHECK_FALSE(judged[2].statement);
}

TEST_CASE("attestations: what a retired key states afterwards does not count") {
  const Attested fixture;
  fixture.open().attest(fixture.version(), fixture.bundle(fixture.key, fixture.identity));
  fixture.open().retire(fixture.key.public_key().id());
  fixture.open().attest(fixture.version(), fixture.bundle(fixture.key, fixture.identity));
  const auto judged = fixture.judged();
  REQUIRE(judged.size() == 2);
  CHECK(judged[0].trusted != judged[1].trusted);
  CHECK(contains(judged[0].problem + judged[1].problem, "is retired"));
}

TEST_CASE("attestations: a folder has the identity that it is published under") {
  const Attested fixture;
  const Registry registry = fixture.open(Mode::read);
  const auto organ = registry.open_organ(fixture.version());
  const auto all = identities(organ->manifest(), organ->manifest_text());
  CHECK(all.front() == fixture.identity);
  CHECK(all.size() == 2);
}

TEST_CASE("attestations: an organ that comes with some is published with them") {
  const Attested fixture;
  fixture.open().attest(fixture.version(), fixture.bundle(fixture.key, fixture.identity));
  const fs::path other = fixture.folder.path() / "other";
  CreateOptions options;
  options.trusted.emplace_back("legal/*", fixture.key.public_key());
  Registry::create(other, options);
  const Registry from = fixture.open(Mode::read);
  const auto organ = from.open_organ(fixture.version());
  Registry to = Registry::open(other, Mode::write);
  const PublishResult result =
      to.publish(*organ, "legal/contracts", test::version("1.0.0"), {.identity = fixture.identity});
  CHECK(result.digest == fixture.identity);
  CHECK(to.history().back().entry.kind == LogKind::attestation);
  const auto found = to.resolve(reference("legal/contracts"));
  const auto judged = to.evaluate(found, *to.open_organ(found)).attestations;
  REQUIRE(judged.size() == 1);
  CHECK(judged[0].trusted);
  to.publish(*organ, "legal/contracts", test::version("1.0.0"), {.identity = fixture.identity});
  CHECK(to.open_organ(found)->attestation_bundles().size() == 1);

  // Under another name it is another organ: nobody stated anything of it.
  to.publish(*organ, "legal/renamed", test::version("1.0.0"), {.key = &fixture.key});
  CHECK(to.open_organ(to.resolve(reference("legal/renamed")))->attestation_bundles().empty());
}
