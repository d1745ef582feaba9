// SPDX-License-Identifier: Apache-2.0
#include "registry/trust/policy.h"
#include "format/base/file.h"

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

TEST_CASE("policy: a trusted signature over other bytes is refused, whatever the mode") {
  const Signed fixture;
  const TempFolder trust = scratch();
  const std::string text = slurp(fixture.path / "organ.json");
  format::Manifest changed = format::Manifest::parse(text, "organ.json");
  changed.description += "x";
  spill(fixture.path / "organ.json", changed.to_text());
  const OrganFolder organ = fixture.open();
  for (const char* mode : {"enforce", "warn"}) {
    const Policy policy = parse(trust.path(), rule("*", mode, 1, {&fixture.key}));
    const TrustVerdict verdict = evaluate_policy(policy, "legal/x", organ, {{}, true});
    REQUIRE_FALSE(verdict.trusted());
    CHECK(
        contains(verdict.refusals.back().subject + verdict.refusals.back().message, "organ.json"));
  }
}

TEST_CASE("policy: certificates count by given roots alone, each name once") {
  const Certified root = make_authority("root");
  const auto certify = [&](const std::string& name) {
    return make_certificate(
        {.name = name, .extensions = {{"keyUsage", "critical,digitalSignature"}}}, &root);
  };
  const Certified first = certify("one"), again = certify("one"), second = certify("two");
  const Signed fixture;
  const TempFolder trust = scratch();
  const Policy two =
      parse(trust.path(), rule("*", "enforce", 2, {&first.key, &second.key, &again.key}));
  const auto judge = [&](const Certified& a, const Certified& b, const TrustOverride& override) {
    const OrganFolder organ = fixture.open();
    std::vector<std::string> bundles;
    for (const Certified* by : {&a, &b}) {
      format::sign_folder(organ, by->key, true, {}, nullptr, by->set());
      bundles.push_back(read_file(fixture.path / format::kSignatureFile, 1 << 20));
    }
    return evaluate_policy(two, "acme/tiny", WithBundles(organ, bundles), override);
  };
  TrustOverride roots;
  roots.certificates = format::CertificateTrust{root.set(), {}, {}};
  CHECK(judge(first, second, roots).trusted());
  CHECK(judge(first, second, roots).certificates.size() == 2);
  CHECK_FALSE(judge(first, again, roots).trusted());
  // The rule trusts these keys, not whom their certificates name.
  CHECK_FALSE(judge(first, second, {}).trusted());
}
