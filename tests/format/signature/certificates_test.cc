// SPDX-License-Identifier: Apache-2.0
#include "format/signature/certificates.h"

#include <doctest/doctest.h>

#include "format/base/file.h"
#include "tests/format/signature/authorities.h"

namespace organ::format {
namespace fs = std::filesystem;

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

TEST_CASE("material that is no chain is damage") {
  const Authorities all;
  const auto refused = [&](const char* pointer, const json& value) {
    json bundle = json::parse(all.sign());
    bundle[json::json_pointer(pointer)] = value;
    return refusal(bundle.dump(), all.trust);
  };
  const std::string list = "/verificationMaterial/x509CertificateChain/certificates";
  const json one = json::object({{"rawBytes", base64_encode(all.leaf.set().der(0))}});
  says(refused(list.c_str(), json::array()), "corrupt", "1 to 10");
  says(refused(list.c_str(), json(11, one)), "corrupt", "at most 10");
  says(refused((list + "/0/rawBytes").c_str(), "AAAA"), "corrupt", "malformed");
  says(refused((list + "/0/rawBytes").c_str(), "AAA"), "corrupt", "canonical base64");
  says(refused((list + "/1/rawBytes").c_str(), base64_encode(all.leaf.set().der(0) + "x")),
       "corrupt", "malformed");
  says(refused((list + "/0/rawBytes").c_str(), base64_encode(std::string(70'000, '0'))), "corrupt",
       "above 64 KiB");
  says(refused((list + "/0/more").c_str(), 1), "corrupt", "is unknown");
  says(refused("/verificationMaterial/publicKey", json::object({{"hint", std::string(64, '0')}})),
       "corrupt", "one of them signs");
}

TEST_CASE("names that people or programs could misread make a certificate damage") {
  const Authorities all;
  const auto refused = [&](const std::string& names) {
    Extensions extensions = kSigner;
    extensions.emplace_back("subjectAltName", names);
    const Certified signer = make_certificate({.extensions = extensions}, &all.inner);
    return refusal(with_chain(all.sign(), all.chain_of(signer)), all.trust);
  };
  const char* unprintable = "empty, too long or unprintable";
  says(refused("DER:3006810461004062"), "corrupt", unprintable);  // a NUL @ b
  says(refused("DER:30068204610a6262"), "corrupt", unprintable);
  says(refused("DER:30028100"), "corrupt", unprintable);
  says(refused("URI:https://" + std::string(5000, 'a')), "corrupt", unprintable);
  says(refused("DER:3003020101"), "corrupt", "malformed");
  std::string many = "DNS:0.example";
  for (int i = 1; i < 65; ++i) many += ",DNS:" + std::to_string(i) + ".example";
  says(refused(many), "corrupt", "65 names, at most 64");
  says(refused("IP:127.0.0.1"), "untrusted", "does not verify");  // no name of a signer
  Extensions twice = kSigner;
  for (const char* name : {"DNS:a.example", "DNS:b.example"}) {
    twice.emplace_back("subjectAltName", name);
  }
  const Certified signer = make_certificate({.extensions = twice}, &all.inner);
  says(refusal(with_chain(all.sign(), all.chain_of(signer)), all.trust), "corrupt", "malformed");
}

TEST_CASE("one key has one form: a compressed point is refused where it stands") {
  const Authorities all;
  const PublicKey key = all.leaf.key.public_key();
  says(error_of([&] { PublicKey::parse(test::compressed_pem(key), "k"); }), "invalid_argument",
       "uncompressed point");
  const std::string pem =
      test::certify(all.leaf.key, {.extensions = kSigner, .compressed = true}, &all.inner);
  says(refusal(with_chain(all.sign(), CertificateSet::parse(pem + all.inner.pem, "chain")),
               all.trust),
       "corrupt", "uncompressed point");
}

TEST_CASE("files of certificates hold certificates and nothing else") {
  const Authorities all;
  const TempFolder folder = test::scratch();
  all.leaf.key.save(folder.path() / "key", "");
  const std::string secret = read_file(folder.path() / "key", 1 << 16);
  CHECK(CertificateSet::parse("# text\n" + all.root.pem + all.inner.pem, "r").size() == 2);
  for (const fs::path& none : {folder.path(), fs::path("/dev/null")}) {
    says(error_of([&] { CertificateSet::load(none); }), "invalid_argument", "regular file");
  }
  write_file(folder.path() / "large", std::string(2 << 20, 'x'));
  says(error_of([&] { CertificateSet::load(folder.path() / "large"); }), "invalid_argument",
       "at most");
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

}  // namespace organ::format
