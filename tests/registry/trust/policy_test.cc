// SPDX-License-Identifier: Apache-2.0
#include "registry/trust/policy.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "format/base/file.h"
#include "format/manifest/manifest.h"
#include "format/signature/internal/oms.h"
#include "format/signature/timestamps.h"

#include "tests/registry/support.h"
#include "tests/support/certificate_maker.h"

using namespace organ;
using namespace organ::registry;
using namespace organ::test;
using format::Curve;
using format::OrganFolder;
using format::SecretKey;

namespace {

Policy parse(const fs::path& trust, const std::string& rules) {
  return Policy::parse("{\"schema_version\":1,\"rules\":[" + rules + "]}", "policy.json", trust);
}

std::string rule(const std::string& pattern, const std::string& mode, int threshold,
                 const std::vector<const SecretKey*>& keys) {
  std::string list;
  for (const SecretKey* key : keys) {
    std::string pem = key->public_key().pem(), escaped;
    for (const char c : pem) escaped += c == '\n' ? std::string("\\n") : std::string(1, c);
    list += (list.empty() ? "\"" : ",\"") + escaped + "\"";
  }
  return "{\"pattern\":\"" + pattern + "\",\"mode\":\"" + mode +
         "\",\"threshold\":" + std::to_string(threshold) + ",\"keys\":[" + list + "]}";
}

// An organ folder that one key signed.
struct Signed {
  TempFolder folder = scratch();
  fs::path path = write_tiny_organ(folder.path() / "organ");
  SecretKey key = SecretKey::generate(Curve::p256);
  SecretKey other = SecretKey::generate(Curve::p384);
  Signed() { format::sign_folder(OrganFolder::open(path), key); }
  OrganFolder open() const { return OrganFolder::open(path); }
};

// The organ with other signatures than its folder has room for.
struct WithBundles final : format::OrganSource {
  const OrganFolder& organ;
  std::vector<std::string> bundles;
  WithBundles(const OrganFolder& of, std::vector<std::string> given)
      : organ(of), bundles(std::move(given)) {}

  const format::Manifest& manifest() const override { return organ.manifest(); }
  const std::string& manifest_text() const override { return organ.manifest_text(); }
  UniqueFd open(const format::FileEntry& file) const override { return organ.open(file); }
  std::vector<std::string> signature_bundles() const override { return bundles; }
  std::vector<std::string> extra_files() const override { return organ.extra_files(); }
  std::string describe() const override { return organ.describe(); }
};

}  // namespace

TEST_CASE("policy: the best matching rule wins and survives its text") {
  const Signed fixture;
  const TempFolder trust = scratch();
  Policy policy;
  CHECK(policy.trust("*", fixture.key.public_key()));
  CHECK(policy.trust("legal/*", fixture.key.public_key()));
  CHECK(policy.trust("legal/eu/*", fixture.key.public_key()));
  CHECK(policy.trust("legal/eu/wills", fixture.key.public_key()));
  CHECK_FALSE(policy.trust("*", fixture.key.public_key()));
  CHECK(policy.rule_for("legal/eu/wills").pattern == "legal/eu/wills");
  CHECK(policy.rule_for("legal/eu/wills2").pattern == "legal/eu/*");
  CHECK(policy.rule_for("legal/contracts").pattern == "legal/*");
  CHECK(policy.rule_for("legal").pattern == "*");
  write_file(trust.path() / (fixture.key.public_key().id().hex() + ".pem"),
             fixture.key.public_key().pem());
  const Policy again = Policy::parse(policy.to_text(), "policy.json", trust.path());
  CHECK(again.to_text() == policy.to_text());
}

TEST_CASE("policy: refuses malformed rules by name") {
  const Signed fixture;
  const TempFolder trust = scratch();
  const auto refusal = [&](const std::string& rules) {
    return error_of([&] { parse(trust.path(), rules); });
  };
  const std::string good = rule("legal/*", "enforce", 1, {&fixture.key});
  CHECK(refusal(good) == "no error");
  CHECK(contains(refusal(good + "," + good), "there twice"));
  CHECK(contains(refusal(rule("Legal", "enforce", 1, {&fixture.key})), "pattern"));
  CHECK(contains(refusal(rule("legal/*", "maybe", 1, {&fixture.key})), "'maybe'"));
  CHECK(contains(refusal(rule("legal/*", "enforce", 2, {&fixture.key})), "threshold"));
  CHECK(contains(refusal(rule("legal/*", "enforce", 0, {&fixture.key})), "threshold"));
  CHECK(contains(refusal(rule("legal/*", "enforce", 1, {&fixture.key, &fixture.key})),
                 "one key twice"));
  CHECK(contains(refusal("{\"pattern\":\"a\",\"mode\":\"enforce\",\"threshold\":1,\"keys\":"
                         "[\"sha256:" +
                         std::string(64, '0') + "\"]}"),
                 "corrupt: "));
  CHECK(error_of([&] {
          Policy::parse("{\"schema_version\":2,\"rules\":[]}", "policy.json", trust.path());
        }).starts_with("unsupported_version: policy.json"));
}

TEST_CASE("policy: without a rule everything is refused unless a key or the user vouches") {
  const Signed fixture;
  const OrganFolder organ = fixture.open();
  const TrustVerdict refused = evaluate_policy(Policy(), "legal/x", organ);
  REQUIRE_FALSE(refused.trusted());
  CHECK(refused.refusals.front().code == ErrorCode::untrusted);
  CHECK(refused.refusals.front().message == "no key is trusted for it, so no signature counts");
  for (const format::Finding& refusal : refused.refusals) {  // said once, as the subject
    CHECK_FALSE(contains(refusal.message, refusal.subject + ":"));
  }
  CHECK(evaluate_policy(Policy(), "legal/x", organ, {{fixture.key.public_key()}, false}).trusted());
  CHECK_FALSE(
      evaluate_policy(Policy(), "legal/x", organ, {{fixture.other.public_key()}, false}).trusted());
  const TrustVerdict allowed = evaluate_policy(Policy(), "legal/x", organ, {{}, true});
  CHECK(allowed.trusted());
  CHECK(allowed.keys.empty());
  CHECK_FALSE(allowed.warnings.empty());
}

TEST_CASE("policy: a threshold counts distinct keys") {
  const Signed fixture;
  const TempFolder trust = scratch();
  const OrganFolder organ = fixture.open();
  const auto verdict = [&](const std::string& rules) {
    return evaluate_policy(parse(trust.path(), rules), "legal/x", organ);
  };
  CHECK(verdict(rule("legal/*", "enforce", 1, {&fixture.key, &fixture.other})).trusted());
  const TrustVerdict two = verdict(rule("legal/*", "enforce", 2, {&fixture.key, &fixture.other}));
  REQUIRE_FALSE(two.trusted());
  CHECK(contains(two.refusals.front().message, "signed by 1 of the 2 trusted keys, 2 needed"));
  CHECK(verdict(rule("legal/*", "warn", 2, {&fixture.key, &fixture.other})).trusted());
  CHECK(verdict(rule("legal/*", "off", 1, {})).trusted());
}

TEST_CASE("policy: a signature that nobody could read is no signature that does not count") {
  const Signed fixture;
  const TempFolder trust = scratch();
  spill(fixture.path / "model.sig", std::string(format::kSignatureLimit + 1, ' '));
  const OrganFolder organ = fixture.open();
  for (const char* mode : {"enforce", "warn", "off"}) {
    for (const bool allow_unsigned : {false, true}) {
      const Policy policy = parse(trust.path(), rule("*", mode, 1, {&fixture.key}));
      const TrustVerdict verdict = evaluate_policy(policy, "legal/x", organ, {{}, allow_unsigned});
      REQUIRE(verdict.refusals.size() == 1);
      CHECK(verdict.refusals.front().subject == "model.sig");
      CHECK(verdict.refusals.front().code == ErrorCode::corrupt);
    }
  }
}

TEST_CASE("policy: a trusted signature over other bytes is refused, whatever the mode") {
  const Signed fixture;
  const TempFolder trust = scratch();
  const std::string text = slurp(fixture.path / "organ.json");
  format::Manifest changed = format::Manifest::parse(text, "organ.json");
  changed.description += "x";
  spill(fixture.path / "organ.json", changed.to_text());
  const OrganFolder organ = fixture.open();
  for (const char* mode : {"enforce", "warn", "off"}) {
    const Policy policy = parse(trust.path(), rule("*", mode, 1, {&fixture.key}));
    const TrustVerdict verdict = evaluate_policy(policy, "legal/x", organ, {{}, true});
    REQUIRE_FALSE(verdict.trusted());
    CHECK(
        contains(verdict.refusals.back().subject + verdict.refusals.back().message, "organ.json"));
  }
}

namespace {

// A root, its signers, and what a rule that asks for two persons says of their signatures.
struct Threshold {
  Signed fixture;
  TempFolder trust = scratch();
  Certified root = make_authority("root");
  std::vector<std::string> bundles = {};

  CertificateSpec spec(const std::string& name, const std::string& names = {}) const {
    CertificateSpec made{.name = name, .extensions = {{"keyUsage", "critical,digitalSignature"}}};
    if (!names.empty()) made.extensions.emplace_back("subjectAltName", names);
    return made;
  }
  // Signs with the key, in the name of `pem`, else bare.
  void sign(const SecretKey& key, const std::string& pem = {}) {
    format::CertificateSet chain;
    if (!pem.empty()) chain = format::CertificateSet::parse(pem, "chain");
    format::sign_folder(fixture.open(), key, true, {}, nullptr, chain);
    bundles.push_back(read_file(fixture.path / format::kSignatureFile, 1 << 20));
  }
  void sign_as(const SecretKey& key, const CertificateSpec& of) {
    sign(key, certify(key, of, &root));
  }
  TrustVerdict judge(const std::vector<const SecretKey*>& keys, const std::string& identity = {}) {
    const Policy two = parse(trust.path(), rule("*", "enforce", 2, {&fixture.key, &fixture.other}));
    TrustOverride given;
    for (const SecretKey* key : keys) given.keys.push_back(key->public_key());
    given.certificates = format::CertificateTrust{root.set(), {}, identity};
    return evaluate_policy(two, "acme/tiny", WithBundles(fixture.open(), bundles), given);
  }
};

bool warns(const TrustVerdict& verdict, const std::string& words) {
  return std::ranges::any_of(verdict.warnings, [&](const format::Finding& warning) {
    return contains(warning.message, words);
  });
}

}  // namespace

TEST_CASE("policy: certificates count by given roots alone") {
  Threshold two;
  const SecretKey a = SecretKey::generate(Curve::p256), b = SecretKey::generate(Curve::p256);
  two.sign_as(a, two.spec("one"));
  two.sign_as(b, two.spec("two"));
  const TrustVerdict verdict = two.judge({});
  CHECK(verdict.trusted());
  CHECK(verdict.certificates.size() == 2);
  CHECK(verdict.warnings.empty());
  // The rule trusts these keys, not whom their certificates name.
  const Policy keys = parse(two.trust.path(), rule("*", "enforce", 1, {&a, &b}));
  CHECK_FALSE(
      evaluate_policy(keys, "acme/tiny", WithBundles(two.fixture.open(), two.bundles)).trusted());
}

TEST_CASE("policy: a person counts once, whatever keys, certificates and names they have") {
  const SecretKey a = SecretKey::generate(Curve::p256), b = SecretKey::generate(Curve::p384);
  const auto once = [&](Threshold& two, const std::vector<const SecretKey*>& keys,
                        const std::string& why, const std::string& identity = {}) {
    CAPTURE(why);
    const TrustVerdict verdict = two.judge(keys, identity);
    CHECK_FALSE(verdict.trusted());
    CHECK((verdict.trusted() || contains(verdict.refusals.front().message, "signed by 1 ")));
    CHECK(warns(verdict, why));
    CHECK(verdict.established.size() == two.bundles.size());
  };
  const std::string name = "email:legal@acme.example";
  Threshold subject, shared, identity, key, bare, linked;
  subject.sign_as(a, subject.spec("one"));
  subject.sign_as(b, subject.spec("one"));
  once(subject, {}, "is not counted beside CN=one,O=Acme");
  CHECK(subject.judge({}).certificates.size() == 2);
  shared.sign_as(a, shared.spec("one", name + ",DNS:a.example"));
  shared.sign_as(b, shared.spec("two", "DNS:b.example," + name));
  once(shared, {}, "the name 'email:legal@acme.example'");
  identity.sign_as(a, identity.spec("one", name));
  identity.sign_as(b, identity.spec("two", name));
  once(identity, {}, "the identity that was asked for", name);
  key.sign_as(a, key.spec("one"));
  key.sign_as(a, key.spec("two"));
  once(key, {}, "the same key");
  bare.sign_as(a, bare.spec("one"));
  bare.sign(a);
  once(bare, {&a}, "the same key");
  linked.sign_as(a, linked.spec("one"));
  linked.sign_as(b, linked.spec("one"));
  linked.sign(b);
  once(linked, {&b}, "the same");
  // In another order the last one says that the others are one.
  std::swap(linked.bundles[1], linked.bundles[2]);
  once(linked, {&b}, "the same");
}

TEST_CASE("policy: certificates without a subject are persons by their names, else by their keys") {
  const SecretKey a = SecretKey::generate(Curve::p256), b = SecretKey::generate(Curve::p384);
  for (const bool named : {true, false}) {
    Threshold two;
    two.sign_as(a, two.spec("", named ? "email:a@acme.example" : ""));
    two.sign_as(b, two.spec("", named ? "email:b@acme.example" : ""));
    CHECK(two.judge({}).trusted());
    CHECK(two.judge({}).certificates.size() == 2);
  }
}

TEST_CASE("policy: a bundle of model_signing 0.2 counts on request, and is called that") {
  const Signed fixture;
  const TempFolder trust = scratch();
  const OrganFolder organ = fixture.open();
  nlohmann::json files = nlohmann::json::array();
  const auto add = [&](const std::string& name, const Digest& digest) {
    files.push_back({{"name", name}, {"digest", {{"sha256", digest.hex()}}}});
  };
  add("organ.json", sha256(organ.manifest_text()));
  for (const format::FileEntry& file : organ.manifest().files) add(file.path, file.digest);
  const std::string payload =
      nlohmann::json({{"_type", "https://in-toto.io/Statement/v1"},
                      {"predicateType", "https://model_signing/Digests/v0.1"},
                      {"subject", files},
                      {"predicate", {{"unused", "nothing"}}}})
          .dump();
  const std::string signature =
      format::internal::sign_message(fixture.key, format::internal::legacy_encoding(payload));
  const std::string bundle =
      format::internal::write_bundle(payload, signature, fixture.key.public_key().id());
  const Policy one = parse(trust.path(), rule("*", "enforce", 1, {&fixture.key}));
  const auto judge = [&](bool legacy) {
    TrustOverride given;
    given.legacy = legacy;
    return evaluate_policy(one, "acme/tiny", WithBundles(organ, {bundle}), given);
  };
  const TrustVerdict refused = judge(false);
  REQUIRE_FALSE(refused.trusted());
  CHECK(contains(refused.refusals.back().message, "calls itself one of model_signing 0.2"));
  const TrustVerdict taken = judge(true);
  REQUIRE(taken.trusted());
  CHECK(contains(taken.established.at(0), ", in the form of model_signing 0.2"));
  CHECK(contains(taken.policy.back(), "by --legacy-signatures"));
}

TEST_CASE("policy: a bare key that signed twice is one key, and no news") {
  const Signed fixture;
  const TempFolder trust = scratch();
  const OrganFolder organ = fixture.open();
  const std::string bundle = organ.signature_bundles()[0];
  const Policy one = parse(trust.path(), rule("*", "enforce", 1, {&fixture.key}));
  const TrustVerdict verdict =
      evaluate_policy(one, "acme/tiny", WithBundles(organ, {bundle, bundle}));
  CHECK(verdict.trusted());
  CHECK(verdict.warnings.empty());
  CHECK(verdict.keys.size() == 1);
}

TEST_CASE("policy: time stamps that prove nothing are told to whoever gave roots for them") {
  Threshold one;
  const Certified tsa = make_certificate(
      {.name = "tsa", .extensions = {{"extendedKeyUsage", "critical,timeStamping"}}}, &one.root);
  const SecretKey a = SecretKey::generate(Curve::p256);
  one.sign_as(a, one.spec("one"));
  const std::string bundle = one.bundles[0];
  const std::string response =
      answer_request(format::timestamp_request(bundle, "model.sig"), tsa, format::clock_seconds());
  one.bundles = {format::with_timestamp(bundle, response, "model.sig")};
  const auto judge = [&](const format::CertificateSet& tsa_roots) {
    const Policy policy = parse(one.trust.path(), rule("*", "enforce", 1, {&a}));
    TrustOverride given;
    given.certificates = format::CertificateTrust{one.root.set(), tsa_roots, {}};
    return evaluate_policy(policy, "acme/tiny", WithBundles(one.fixture.open(), one.bundles),
                           given);
  };
  CHECK(judge({}).warnings.empty());
  CHECK(judge(one.root.set()).warnings.empty());
  const TrustVerdict other = judge(make_authority("other").set());
  CHECK(other.trusted());
  REQUIRE(other.warnings.size() == 1);
  CHECK(contains(other.warnings[0].message, "time stamp 0"));
}
