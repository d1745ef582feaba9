// SPDX-License-Identifier: Apache-2.0
// What is stated of a version: attached, carried, judged.
#include "format/signature/attestation.h"

#include <algorithm>

#include "registry/blobs/blob_store.h"
#include "registry/oci/oci.h"
#include "registry/trust/attested.h"
#include "tests/registry/history/watched.h"
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
  const std::string early = fixture.bundle(fixture.key, fixture.identity);
  fixture.open().attest(fixture.version(), early);
  fixture.open().retire(fixture.key.public_key().id());
  fixture.open().attest(fixture.version(), fixture.bundle(fixture.key, fixture.identity));
  const auto judged = fixture.judged();
  REQUIRE(judged.size() == 2);
  // In the order of their digests, not of their coming.
  const Registry registry = fixture.open(Mode::read);
  const auto bundles = registry.open_organ(fixture.version())->attestation_bundles();
  const std::size_t before = bundles[0] == early ? 0 : 1;
  CHECK(judged[before].trusted);
  CHECK_FALSE(judged[1 - before].trusted);
  CHECK(contains(judged[1 - before].problem, "is retired"));
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

TEST_CASE("attestations: with attesters nobody else's count, the publisher's neither") {
  const Attested fixture;
  const auto lab = format::SecretKey::generate(format::Curve::p256);
  fixture.open().attest(fixture.version(), fixture.bundle(fixture.key, fixture.identity));
  TrustOverride override;
  override.attesters = {lab.public_key()};
  CHECK_FALSE(fixture.judged(override).at(0).trusted);
  override.attestations = {fixture.bundle(lab, fixture.identity)};
  const auto judged = fixture.judged(override);
  REQUIRE(judged.size() == 2);
  CHECK_FALSE(judged[0].trusted);
  CHECK(judged[1].trusted);
}

TEST_CASE("attestations: one of another name is not attached, whatever its identity") {
  const Attested fixture;
  format::Manifest organ = fixture.manifest();
  const auto predicate = format::recorded_predicate(AttestationType::evaluation, organ);
  organ.name = "legal/other";
  const std::string bundle = format::sign_attestation(AttestationType::evaluation, organ,
                                                      fixture.identity, predicate, fixture.key);
  CHECK(contains(error_of([&] { fixture.open().attest(fixture.version(), bundle); }),
                 "invalid_argument: attestation: is about 'legal/other:1.0.0'"));
}

TEST_CASE("attestations: attached once more, a damaged bundle is whole again") {
  const Attested fixture;
  const std::string bundle = fixture.bundle(fixture.key, fixture.identity);
  fixture.open().attest(fixture.version(), bundle);
  const fs::path blob = fixture.root / "blobs" / "sha256" / sha256(bundle).hex();
  fs::permissions(blob, fs::perms::owner_write, fs::perm_options::add);
  write_file(blob, std::string(bundle.size(), 'x'));
  CHECK(verify_all(fixture) != "no finding");
  CHECK(fixture.open().attest(fixture.version(), bundle).already_attached);
  CHECK(verify_all(fixture) == "no finding");
}

TEST_CASE("attestations: strangers in any number do not hide one that is trusted") {
  const Attested fixture;
  const auto stranger = format::SecretKey::generate(format::Curve::p256);
  TrustOverride override;
  for (int i = 0; i < 100; ++i) {
    override.attestations.push_back(fixture.bundle(stranger, fixture.identity));
  }
  override.attestations.push_back(fixture.bundle(fixture.key, fixture.identity));
  const auto judged = fixture.judged(override);
  REQUIRE(judged.size() == 66);
  CHECK(judged[64].trusted);
  CHECK(judged[65].problem == "36 further ones count for nothing");
}

TEST_CASE("attestations: one that cannot be read is named, and hides none of the others") {
  const Attested fixture;
  const auto lab = format::SecretKey::generate(format::Curve::p256);
  fixture.open().attest(fixture.version(), fixture.bundle(fixture.key, fixture.identity));
  std::vector<std::string> strangers;
  const BlobStore blobs(fixture.root);
  const std::vector<Digest> before = blobs.list(strangers);
  fixture.open().attest(fixture.version(), fixture.bundle(lab, fixture.identity));
  std::size_t objects = 0;
  for (const Digest& digest : blobs.list(strangers)) {
    if (std::ranges::find(before, digest) != before.end()) continue;
    ++objects;
    const Unreadable object(fixture.blob(digest), fixture.folder);
    const auto judged = fixture.judged();
    REQUIRE(judged.size() == 2);
    CHECK(judged[0].unread);
    CHECK_FALSE(judged[0].trusted);
    CHECK_FALSE(judged[0].statement.has_value());
    CHECK(contains(judged[0].problem, digest.to_string() + ": cannot be read: "));
    CHECK(judged[1].trusted);
    CHECK_FALSE(judged[1].unread);
    // Who would carry them elsewhere takes no part of them.
    const Registry registry = fixture.open(Mode::read);
    const auto organ = registry.open_organ(registry.resolve(reference("legal/contracts:1.0.0")));
    CHECK_THROWS_AS(organ->attestation_bundles(), UnreadableBlob);
  }
  CHECK(objects == 2);  // the manifest and the bundle
}

TEST_CASE("attestations, signatures: a damaged or missing one is told to whom a part is of use") {
  const Attested fixture;
  fixture.open().attest(fixture.version(), fixture.bundle(fixture.key, fixture.identity));
  const auto told = [&](bool signatures) {
    const Registry registry = fixture.open(Mode::read);
    const auto organ = registry.open_organ(registry.resolve(reference("legal/contracts:1.0.0")));
    std::vector<format::Finding> unread;
    CHECK(organ->signature_bundles().size() + organ->attestation_bundles().size() == 1);
    const auto bundles =
        signatures ? organ->readable_signatures(unread) : organ->readable_attestations(unread);
    CHECK(bundles.empty());
    REQUIRE(unread.size() == 1);
    CHECK(unread[0].code == ErrorCode::corrupt);
    return unread[0].subject;
  };
  const auto organ = fixture.open(Mode::read).open_organ(fixture.version());
  const auto signature = organ->signature_bundles(), attestation = organ->attestation_bundles();
  REQUIRE(signature.size() + attestation.size() == 2);
  for (const bool signatures : {true, false}) {
    const fs::path object = fixture.blob(sha256((signatures ? signature : attestation).front()));
    const fs::path away = fixture.folder.path() / "away";
    const char* name = signatures ? "signature sha256:" : "attestation sha256:";
    fs::rename(object, away);
    CHECK(told(signatures).starts_with(name));
    std::string bytes = slurp(away);
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    std::ofstream(object) << bytes;
    CHECK(told(signatures).starts_with(name));
    fs::remove(object);
    fs::rename(away, object);
  }
}

TEST_CASE("attestations: the config that all of them share is one finding when it is damaged") {
  const Attested fixture;
  const auto lab = format::SecretKey::generate(format::Curve::p256);
  for (const auto* key : {&fixture.key, &lab}) {
    fixture.open().attest(fixture.version(), fixture.bundle(*key, fixture.identity));
  }
  const fs::path config = fixture.blob(empty_config().ref.digest);
  const Registry registry = fixture.open(Mode::read);
  const auto found = registry.resolve(reference("legal/contracts:1.0.0"));
  const auto findings = [&] { return registry.verify(found).items.front().findings; };
  CHECK(findings().empty());
  {
    const Unreadable object(config, fixture.folder);
    REQUIRE(findings().size() == 1);
    CHECK(findings().front().code == ErrorCode::io);
  }
  spill(config, "[]");
  REQUIRE(findings().size() == 1);
  CHECK(findings().front().code == ErrorCode::corrupt);
}

TEST_CASE("attestations: none comes into the log as a signature, where it never would count") {
  const Attested fixture;
  class Disguised final : public format::OrganSource {
   public:
    Disguised(const format::OrganSource& organ, std::string bundle)
        : organ_(&organ), bundle_(std::move(bundle)) {}
    const format::Manifest& manifest() const override { return organ_->manifest(); }
    const std::string& manifest_text() const override { return organ_->manifest_text(); }
    UniqueFd open(const format::FileEntry& file) const override { return organ_->open(file); }
    std::vector<std::string> signature_bundles() const override { return {bundle_}; }
    std::vector<std::string> extra_files() const override { return {}; }
    std::string describe() const override { return organ_->describe(); }

   private:
    const format::OrganSource* organ_;
    std::string bundle_;
  };
  const Registry from = fixture.open(Mode::read);
  const auto organ = from.open_organ(fixture.version());
  const Disguised disguised(*organ, fixture.bundle(fixture.key, fixture.identity));
  Registry registry = fixture.open();
  CHECK(contains(error_of([&] {
                   registry.publish(disguised, "legal/contracts", test::version("1.0.0"),
                                    {.key = &fixture.key});
                 }),
                 "invalid_argument: signature: states something"));
}

TEST_CASE("attestations: one that witnesses have not seen is left out, and that is said") {
  const Watched watched;
  watched.demand(1);
  watched.a.vouch();
  const auto evaluated = [&] {
    const Registry shown = watched.read();
    const auto found = shown.resolve(reference("legal/contracts:1.0.0"));
    return shown.evaluate(found, *shown.open_organ(found));
  };
  const auto found = watched.read().resolve(reference("legal/contracts:1.0.0"));
  const format::Manifest organ = watched.read().open_organ(found)->manifest();
  const char* const fit =
      R"({"recipient":{"name":"model","config_digest":")"
      "sha256:0000000000000000000000000000000000000000000000000000000000000001"
      R"("},"position":2,"layer_count":1,"level":"A","installable":true,"fitting_positions":[2],)"
      R"("findings":[]})";
  const auto predicate = format::parse_predicate(AttestationType::compatibility, fit, "fit.json");
  watched.fixture.open().attest(
      found, format::sign_attestation(AttestationType::compatibility, organ, found.digest,
                                      predicate, watched.fixture.key));
  const auto before = evaluated();
  CHECK(before.attestations.empty());
  CHECK(std::ranges::find(before.not_established,
                          "1 of its attestations: they are not witnessed yet, and left out") !=
        before.not_established.end());
  watched.b.vouch();
  REQUIRE(evaluated().attestations.size() == 1);
  CHECK(evaluated().attestations[0].trusted);
}
