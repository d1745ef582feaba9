// SPDX-License-Identifier: Apache-2.0
#include "format/signature/certificates.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "format/base/base64.h"
#include "format/base/file.h"
#include "format/manifest/manifest.h"
#include "format/signature/signing.h"
#include "format/signature/timestamps.h"
#include "tests/support/certificate_maker.h"
#include "tests/support/support.h"

namespace organ::format {
using nlohmann::json;
using test::Certified;
using test::error_of;
using test::make_authority;
using test::make_certificate;
using Extensions = std::vector<std::pair<std::string, std::string>>;

namespace {

const Extensions kSigner = {{"basicConstraints", "CA:FALSE"},
                            {"keyUsage", "critical,digitalSignature"}};

// A root, an authority below it and a signer.
struct Authorities {
  Certified root = make_authority("root");
  Certified inner = make_authority("inner", &root, "critical,CA:TRUE,pathlen:0");
  Certified leaf = make_certificate(
      {.extensions = {{"basicConstraints", "CA:FALSE"},
                      {"keyUsage", "critical,digitalSignature"},
                      {"subjectAltName", "email:legal@acme.example,URI:https://acme.example"}}},
      &inner);
  CertificateTrust trust{root.set(), {}, {}};

  CertificateSet chain_of(const Certified& signer) const {
    CertificateSet chain = signer.set();
    chain.append(inner.set());
    return chain;
  }
  std::string sign() const {
    return sign_resources("model", {{"a", sha256("a")}}, leaf.key, chain_of(leaf));
  }
};

std::string refusal(const std::string& bundle, const CertificateTrust& trust) {
  return error_of([&] { judge_bundle(bundle, SignerTrust{{}, trust}, "model.sig"); });
}

bool says(const std::string& error, std::string_view code, std::string_view words) {
  CAPTURE(error);
  const bool good = error.starts_with(code) && error.find(words) != std::string::npos;
  CHECK(good);
  return good;
}

// The bundle of another signer: its signature stays, the chain is replaced.
std::string with_chain(const std::string& bundle, const CertificateSet& chain) {
  json document = json::parse(bundle);
  json list = json::array();
  for (std::size_t i = 0; i < chain.size(); ++i) {
    list.push_back(json::object({{"rawBytes", base64_encode(chain.der(i))}}));
  }
  document["verificationMaterial"]["x509CertificateChain"]["certificates"] = list;
  return document.dump();
}

}  // namespace

TEST_CASE("a bundle by certificate counts by its root, and names who signed") {
  const Authorities all;
  const std::string bundle = all.sign();
  const SignedStatement statement = judge_bundle(bundle, SignerTrust{{}, all.trust}, "model.sig");
  REQUIRE(statement.certificate);
  CHECK(statement.certificate->subject == "CN=leaf,O=Acme");
  CHECK(statement.certificate->names ==
        std::vector<std::string>{"email:legal@acme.example", "URI:https://acme.example"});
  CHECK(statement.certificate->fingerprint == sha256(all.leaf.set().der(0)));
  CHECK(statement.key == all.leaf.key.public_key().id());
  CHECK(read_bundle(bundle, "model.sig").certificate->subject == "CN=leaf,O=Acme");
}

TEST_CASE("no key vouches for a certificate, no root for a key, no root for another's") {
  const Authorities all;
  const PublicKey key = all.leaf.key.public_key();
  says(error_of([&] { verify_bundle(all.sign(), {key}, "model.sig"); }), "untrusted",
       "signed with a certificate of CN=leaf");
  const std::string bare = sign_resources("model", {{"a", sha256("a")}}, all.leaf.key);
  says(refusal(bare, all.trust), "untrusted", "no key was given");
  CertificateTrust other = all.trust;
  other.roots = make_authority("root").set();
  says(refusal(all.sign(), other), "untrusted", "certificate of CN=leaf");
  other.roots = {};
  says(refusal(all.sign(), other), "untrusted", "certificate of CN=leaf");
}

TEST_CASE("the identity is the subject or one name, exactly as it is shown") {
  const Authorities all;
  const std::string bundle = all.sign();
  CertificateTrust trust = all.trust;
  for (const char* good : {"CN=leaf,O=Acme", "email:legal@acme.example"}) {
    trust.identity = good;
    CHECK(refusal(bundle, trust) == "no error");
  }
  for (const char* bad : {"leaf", "legal@acme.example", "email:LEGAL@acme.example", "DNS:x", " "}) {
    trust.identity = bad;
    says(refusal(bundle, trust), "untrusted", "expected '");
  }
}

TEST_CASE("a certificate that ended, begins later or may not sign is refused by its reason") {
  const Authorities all;
  const std::string bundle = all.sign();
  struct Case {
    test::CertificateSpec spec;
    const char* words;
  };
  const std::vector<Case> cases = {
      {{.extensions = kSigner, .begin = -90, .end = -60}, "it ended at"},
      {{.extensions = kSigner, .begin = 3600, .end = 7200}, "it begins at"},
      {{.extensions = {{"basicConstraints", "CA:FALSE"}}}, "it may not sign"},
      {{.extensions = {{"keyUsage", "keyAgreement"}}}, "it may not sign"},
      {{.extensions = {{"extendedKeyUsage", "serverAuth"}}}, "it may not sign"},
      {{.extensions = {{"basicConstraints", "CA:TRUE"}, {"keyUsage", "digitalSignature"}}},
       "it is an authority's"},
      {{.extensions = {{"keyUsage", "digitalSignature"}, {"1.2.3.4", "critical,DER:0500"}}},
       "unhandled critical extension"}};
  for (const Case& one : cases) {
    CAPTURE(one.words);
    const Certified signer = make_certificate(one.spec, &all.inner);
    says(refusal(with_chain(bundle, all.chain_of(signer)), all.trust), "untrusted", one.words);
  }
  const Certified code =
      make_certificate({.extensions = {{"extendedKeyUsage", "codeSigning"}}}, &all.inner);
  // The chain counts; what it did not make is another matter.
  says(refusal(with_chain(bundle, all.chain_of(code)), all.trust), "untrusted", "does not verify");
}

TEST_CASE("issuers must be authorities that may issue, as deep as they may") {
  const Authorities all;
  const Certified plain =
      make_certificate({.name = "plain", .extensions = {{"keyUsage", "keyCertSign"}}}, &all.root);
  const Certified deep = make_authority("deep", &all.inner);
  const auto refused = [&](const Certified& issuer, const CertificateSet& more) {
    const Certified leaf = make_certificate({.extensions = kSigner}, &issuer);
    CertificateSet chain = leaf.set();
    chain.append(issuer.set());
    chain.append(more);
    return refusal(with_chain(all.sign(), chain), all.trust);
  };
  says(refused(plain, {}), "untrusted", "certificate of CN=leaf");
  says(refused(deep, all.inner.set()), "untrusted", "path length");
  CertificateSet cut = all.leaf.set();
  says(refusal(with_chain(all.sign(), cut), all.trust), "untrusted", "issuer");
}

TEST_CASE("a signer's certificate must fit the key and be valid when it signs") {
  const Authorities all;
  const auto sign = [&](const Certified& signer, const SecretKey& key) {
    return error_of([&] {
      sign_resources("model", {{"a", sha256("a")}}, key, all.chain_of(signer));
    });
  };
  CHECK(sign(all.leaf, all.leaf.key) == "no error");
  says(sign(all.leaf, all.root.key), "invalid_argument", "another key");
  const Certified old =
      make_certificate({.extensions = kSigner, .begin = -90, .end = -60}, &all.inner);
  says(sign(old, old.key), "invalid_argument", "it is valid from");
  says(sign(all.inner, all.inner.key), "invalid_argument", "an authority's");
}

TEST_CASE("material that is no chain is damage") {
  const Authorities all;
  const auto refused = [&](const char* pointer, const json& value) {
    json bundle = json::parse(all.sign());
    bundle[json::json_pointer(pointer)] = value;
    return refusal(bundle.dump(), all.trust);
  };
  const std::string kList = "/verificationMaterial/x509CertificateChain/certificates";
  const json one = json::object({{"rawBytes", base64_encode(all.leaf.set().der(0))}});
  says(refused(kList.c_str(), json::array()), "corrupt", "1 to 10");
  says(refused(kList.c_str(), json(11, one)), "corrupt", "at most 10");
  says(refused((kList + "/0/rawBytes").c_str(), "AAAA"), "corrupt", "malformed");
  says(refused((kList + "/0/rawBytes").c_str(), "AAA"), "corrupt", "canonical base64");
  says(refused((kList + "/1/rawBytes").c_str(), base64_encode(all.leaf.set().der(0) + "x")),
       "corrupt", "malformed");
  says(refused((kList + "/0/rawBytes").c_str(), base64_encode(std::string(70'000, '0'))), "corrupt",
       "above 64 KiB");
  says(refused((kList + "/0/more").c_str(), 1), "corrupt", "is unknown");
  says(refused("/verificationMaterial/publicKey", json::object({{"hint", std::string(64, '0')}})),
       "corrupt", "one of them signs");
}

TEST_CASE("files of certificates hold certificates and nothing else") {
  const Authorities all;
  const TempFolder folder = test::scratch();
  all.leaf.key.save(folder.path() / "key", "");
  const std::string secret = read_file(folder.path() / "key", 1 << 16);
  CHECK(CertificateSet::parse("# text\n" + all.root.pem + all.inner.pem, "r").size() == 2);
  std::string cut = all.root.pem;
  cut.erase(100, 1);
  const std::string locked =
      "-----BEGIN CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\n"
      "DEK-Info: AES-128-CBC,00000000000000000000000000000000\n\n"
      "AAAA\n-----END CERTIFICATE-----\n";
  for (const std::string& bad :
       {std::string(), secret, all.root.pem + secret, all.leaf.key.public_key().pem(), cut,
        all.root.pem + "-----BEGIN CERTIFICATE-----\n", std::string(2 << 20, 'x'), locked}) {
    says(error_of([&] { CertificateSet::parse(bad, "r"); }), "invalid_argument", "'r': ");
  }
  says(error_of([&] { CertificateSet::parse(all.root.pem + all.root.pem, "r", 1); }),
       "invalid_argument", "1 to 1");
}

namespace {

// A signed bundle and a time-stamp authority of another root.
struct Stamping : Authorities {
  Certified tsa_root = make_authority("tsa-root");
  Certified tsa = make_certificate({.name = "tsa",
                                    .extensions = {{"extendedKeyUsage", "critical,timeStamping"}},
                                    .begin = -10'000,
                                    .end = 10'000},
                                   &tsa_root);
  std::string bundle = sign();
  std::int64_t now = clock_seconds();

  std::string stamp(std::int64_t time, const Certified& by) const {
    return test::answer_request(timestamp_request(bundle, "model.sig"), by, time);
  }
  std::string stamped(const std::string& response) const {
    return with_timestamp(bundle, response, "model.sig");
  }
  CertificateTrust at(std::int64_t time) const {
    CertificateTrust later = trust;
    later.now = time;
    later.tsa_roots = tsa_root.set();
    return later;
  }
};

}  // namespace

TEST_CASE("a time stamp of a trusted authority keeps a signature good") {
  const Stamping all;
  const std::int64_t later = all.now + 100'000;
  const std::string stamped = all.stamped(all.stamp(all.now, all.tsa));
  says(refusal(all.bundle, all.at(later)), "untrusted", "it ended at");
  CHECK(refusal(stamped, all.at(later)) == "no error");
  const auto signer =
      judge_bundle(stamped, SignerTrust{{}, all.at(later)}, "model.sig").certificate;
  CHECK(signer->stamped == all.now);
  CHECK(signer->stamped_by == "CN=tsa,O=Acme");
  CertificateTrust alone = all.at(later);
  alone.tsa_roots = {};
  says(refusal(stamped, alone), "untrusted", "only with the roots of a time-stamp authority");
  alone.tsa_roots = all.root.set();
  says(refusal(stamped, alone), "untrusted", "time stamp 0");
  CHECK(refusal(stamped, all.at(all.now)) == "no error");
}

TEST_CASE("a time stamp proves its time alone: before the certificate, to come, of no authority") {
  const Stamping all;
  const std::int64_t later = all.now + 100'000;
  const auto refused = [&](std::int64_t time, const Certified& by, const char* words) {
    says(refusal(all.stamped(all.stamp(time, by)), all.at(later)), "untrusted", words);
  };
  refused(all.now - 5'000, all.tsa, "it begins at");
  refused(later + 1'000, all.tsa, "which is to come");
  refused(all.now + 20'000, all.tsa, "time stamp 0");  // after its own certificate
  refused(all.now,
          make_certificate(
              {.name = "other", .extensions = {{"extendedKeyUsage", "critical,timeStamping"}}},
              &all.root),
          "time stamp 0");
}

TEST_CASE("time stamps that are attached are of this signature, each once, eight at most") {
  const Stamping all;
  const std::string response = all.stamp(all.now, all.tsa);
  Stamping other;
  says(error_of([&] { other.stamped(response); }), "invalid_argument", "imprint");
  says(error_of([&] { all.stamped("no DER"); }), "invalid_argument", "no DER");
  says(error_of([&] { all.stamped(response + "x"); }), "invalid_argument", "no DER");
  says(error_of([&] { all.stamped(std::string(70'000, '0')); }), "invalid_argument", "bytes");
  std::string bundle = all.stamped(response);
  says(error_of([&] { with_timestamp(bundle, response, "model.sig"); }), "invalid_argument",
       "already");
  for (int i = 1; i < 8; ++i) {
    bundle = with_timestamp(bundle, all.stamp(all.now + i, all.tsa), "model.sig");
  }
  says(error_of([&] { with_timestamp(bundle, all.stamp(all.now + 9, all.tsa), "model.sig"); }),
       "invalid_argument", "the most there may be");
  const std::string bare = sign_resources("model", {{"a", sha256("a")}}, all.leaf.key);
  says(error_of([&] { with_timestamp(bare, response, "model.sig"); }), "invalid_argument",
       "bare key");
}

}  // namespace organ::format
