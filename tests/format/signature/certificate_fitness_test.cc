// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "tests/format/signature/authorities.h"

namespace organ::format {

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
      {{.extensions = {{"keyUsage", "digitalSignature"}, {"extendedKeyUsage", "serverAuth"}}},
       "its purposes"},
      {{.extensions = {{"keyUsage", "digitalSignature"},
                       {"extendedKeyUsage", "critical,timeStamping"}}},
       "its purposes"},
      {{.extensions = {{"keyUsage", "keyAgreement"}, {"extendedKeyUsage", "codeSigning"}}},
       "it may not sign"},
      {{.extensions = {{"keyUsage", "digitalSignature"}, {"keyUsage", "digitalSignature"}}},
       "stand there twice"},
      {{.extensions = kSigner, .sha1 = true}, "too weak"},
      {{.extensions = {{"basicConstraints", "CA:TRUE"}, {"keyUsage", "digitalSignature"}}},
       "it is an authority's"},
      {{.extensions = {{"keyUsage", "digitalSignature"}, {"1.2.3.4", "critical,DER:0500"}}},
       "unhandled critical extension"}};
  for (const Case& one : cases) {
    CAPTURE(one.words);
    const Certified signer = make_certificate(one.spec, &all.inner);
    says(refusal(with_chain(bundle, all.chain_of(signer)), all.trust), "untrusted", one.words);
  }
  const std::vector<Extensions> good = {
      {{"extendedKeyUsage", "codeSigning"}},
      {{"keyUsage", "digitalSignature"}, {"extendedKeyUsage", "serverAuth,codeSigning"}},
      {{"keyUsage", "digitalSignature"}, {"extendedKeyUsage", "anyExtendedKeyUsage"}}};
  for (const Extensions& extensions : good) {
    const Certified signer = make_certificate({.extensions = extensions}, &all.inner);
    // The chain counts; what it did not make is another matter.
    says(refusal(with_chain(bundle, all.chain_of(signer)), all.trust), "untrusted",
         "does not verify");
  }
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

TEST_CASE(
    "an issuer's purposes and names limit whom it certifies; a root is taken as it is given") {
  const Authorities all;
  const auto below = [&](const Extensions& more, const Certified& root) {
    Extensions extensions = {{"basicConstraints", "critical,CA:TRUE"},
                             {"keyUsage", "critical,keyCertSign"}};
    extensions.insert(extensions.end(), more.begin(), more.end());
    const Certified issuer = make_certificate({.name = "issuer", .extensions = extensions}, &root);
    Extensions signer = kSigner;
    signer.emplace_back("subjectAltName", "email:legal@acme.example");
    const Certified leaf = make_certificate({.extensions = signer}, &issuer);
    CertificateSet chain = leaf.set();
    chain.append(issuer.set());
    CertificateTrust trust = all.trust;
    trust.roots = root.set();
    return refusal(with_chain(all.sign(), chain), trust);
  };
  for (const char* purposes : {"codeSigning", "anyExtendedKeyUsage", "serverAuth,codeSigning"}) {
    says(below({{"extendedKeyUsage", purposes}}, all.root), "untrusted", "does not verify");
  }
  says(below({{"extendedKeyUsage", "serverAuth"}}, all.root), "untrusted", "for purposes other");
  says(below({{"nameConstraints", "critical,permitted;email:acme.example"}}, all.root), "untrusted",
       "does not verify");
  says(below({{"nameConstraints", "critical,permitted;email:other.example"}}, all.root),
       "untrusted", "subtree violation");
  const Certified server =
      make_certificate({.name = "root",
                        .extensions = {{"basicConstraints", "critical,CA:TRUE"},
                                       {"keyUsage", "keyCertSign"},
                                       {"extendedKeyUsage", "serverAuth"}}});
  says(below({}, server), "untrusted", "does not verify");
  const Certified plain =
      make_certificate({.name = "plain", .extensions = {{"keyUsage", "keyCertSign"}}});
  says(below({}, plain), "untrusted", "has no basicConstraints CA:TRUE");
}

TEST_CASE("keys and hashes below 112 bits certify nobody") {
  const Authorities all;
  const auto issued_with = [&](unsigned bits) {
    const auto key = test::rsa_key(bits);
    const test::CertificateSpec authority{
        .name = "rsa",
        .extensions = {{"basicConstraints", "CA:TRUE"}, {"keyUsage", "keyCertSign"}}};
    const std::string issuer =
        test::certify(key.get(), authority, all.root.pem, all.root.key.handle());
    const std::string leaf =
        test::certify(all.leaf.key.handle(), {.extensions = kSigner}, issuer, key.get());
    return refusal(with_chain(all.sign(), CertificateSet::parse(leaf + issuer, "chain")),
                   all.trust);
  };
  CHECK(issued_with(2048) == "no error");
  says(issued_with(1024), "untrusted", "too weak");
}

TEST_CASE("certificates come in the order of their issuing, with extensions that are known") {
  const Authorities all;
  const auto sign = [&](const CertificateSet& chain) {
    return error_of([&] { sign_resources("model", {{"a", sha256("a")}}, all.leaf.key, chain); });
  };
  CertificateSet chain = all.leaf.set();
  chain.append(all.root.set());
  chain.append(all.inner.set());
  says(sign(chain), "invalid_argument", "did not issue the certificate before it");
  Extensions unknown = kSigner;
  unknown.emplace_back("1.2.3.4", "critical,DER:0500");
  const std::string odd = test::certify(all.leaf.key, {.extensions = unknown}, &all.inner);
  says(sign(CertificateSet::parse(odd, "odd")), "invalid_argument", "critical extension");
  const std::string server = test::certify(
      all.leaf.key,
      {.extensions = {{"keyUsage", "digitalSignature"}, {"extendedKeyUsage", "serverAuth"}}},
      &all.inner);
  says(sign(CertificateSet::parse(server, "odd")), "invalid_argument", "its purposes");
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

}  // namespace organ::format
