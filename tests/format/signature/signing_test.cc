// SPDX-License-Identifier: Apache-2.0
#include "format/signature/signing.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "format/base/base64.h"
#include "format/base/file.h"
#include "format/signature/internal/oms.h"
#include "tests/support/support.h"
#include "tests/support/tiny_organ.h"

namespace organ::format {
namespace fs = std::filesystem;
using nlohmann::json;
using test::error_of;
using test::scratch;

namespace {

// A well-formed statement and bundle that each test damages in one place before it is signed.
struct Forge {
  SecretKey key = SecretKey::generate(Curve::p256);
  json statement;

  Forge() {
    const std::vector<SignedResource> files = {{"a.txt", sha256("a")}, {"b.txt", sha256("b")}};
    statement = json::parse(internal::write_statement("model", files));
  }

  void compute_root() {
    Sha256Hasher hasher;
    for (const json& resource : statement["predicate"]["resources"]) {
      const Digest digest = Digest::parse_hex(resource["digest"].get<std::string>());
      hasher.update(std::as_bytes(std::span(digest.bytes())));
    }
    statement["subject"][0]["digest"]["sha256"] = hasher.finish().hex();
  }

  json bundle() const {
    const std::string payload = statement.dump(2);
    const std::string message = internal::pre_authentication_encoding(payload);
    return json::parse(internal::write_bundle(payload, internal::sign_message(key, message),
                                              key.public_key().id()));
  }

  std::string verify(const std::string& text) const {
    return error_of([&] { verify_bundle(text, {key.public_key()}, "model.sig"); });
  }
  std::string verify(const json& bundle) const { return verify(bundle.dump()); }
  std::string verify() const { return verify(bundle()); }
};

bool says(const std::string& error, std::string_view code, std::string_view words) {
  CAPTURE(error);
  const bool good = error.starts_with(code) && error.find(words) != std::string::npos;
  CHECK(good);
  return good;
}

}  // namespace

TEST_CASE("a bundle of each curve verifies with its key and with no other") {
  for (const Curve curve : {Curve::p256, Curve::p384, Curve::p521}) {
    const SecretKey key = SecretKey::generate(curve);
    const std::string bundle =
        sign_resources("model", {{"b", sha256("b")}, {"a", sha256("a")}}, key);
    const PublicKey other = SecretKey::generate(curve).public_key();
    const SignedStatement statement = verify_bundle(bundle, {other, key.public_key()}, "model.sig");
    CHECK(statement.key == key.public_key().id());
    CHECK(statement.resources[0].name == "a");
    CHECK(statement.resources.size() == 2);
    says(error_of([&] { verify_bundle(bundle, {other}, "model.sig"); }), "untrusted", "none of");
    says(error_of([&] { verify_bundle(bundle, {}, "model.sig"); }), "untrusted",
         "no key was given");
  }
}

TEST_CASE("the forge makes a bundle that verifies, so that each refusal has one reason") {
  CHECK(Forge().verify() == "no error");
}

TEST_CASE("resource names that leave the folder are refused") {
  for (const char* name : {"../outside", "/etc/passwd", "a/../../x", "a//b", ".", "..", "", "a/",
                           "./a", "a\\b", "a\nb"}) {
    CAPTURE(name);
    Forge forge;
    forge.statement["predicate"]["resources"][0]["name"] = name;
    says(forge.verify(), "corrupt", "is not a file inside the signed folder");
  }
}

TEST_CASE("a resource that stands twice is refused") {
  Forge forge;
  forge.statement["predicate"]["resources"][1]["name"] = "a.txt";
  says(forge.verify(), "corrupt", "stands there twice");
}

TEST_CASE("an ignore list that hides a listed file is refused") {
  for (const char* path : {"a.txt", "./a.txt", ".", "x/../a.txt", "a.txt/"}) {
    CAPTURE(path);
    Forge forge;
    forge.statement["predicate"]["serialization"]["ignore_paths"].push_back(path);
    says(forge.verify(), "corrupt", "hides the listed file");
  }
  Forge forge;
  forge.statement["predicate"]["serialization"]["ignore_paths"].push_back("/a.txt");
  says(forge.verify(), "corrupt", "not a relative path");
  Forge harmless;
  harmless.statement["predicate"]["serialization"]["ignore_paths"].push_back("../model.sig");
  CHECK(harmless.verify() == "no error");
}

TEST_CASE("an ignore list that hides a weight of the organ does not cover it") {
  const TempFolder folder = scratch();
  const SecretKey key = SecretKey::generate(Curve::p256);
  const OrganFolder organ = OrganFolder::open(test::write_tiny_organ(folder.path() / "organ"));
  SignedStatement statement;
  statement.ignore_paths = {"layer.00.safetensors"};
  statement.resources = {{std::string(kManifestFile), sha256(organ.manifest_text())},
                         {"README.md", organ.manifest().find_file("README.md")->digest}};
  const auto findings = compare_statement(statement, organ);
  REQUIRE(findings.size() == 1);
  CHECK(findings[0].code == ErrorCode::untrusted);
  CHECK(findings[0].subject == "layer.00.safetensors");
  CHECK(findings[0].message.find("does not cover it") != std::string::npos);
}

TEST_CASE("a root digest that does not follow from the resources is refused") {
  Forge forge;
  forge.statement["predicate"]["resources"][0]["digest"] = sha256("other").hex();
  says(forge.verify(), "corrupt", "root digest");
  forge.compute_root();
  CHECK(forge.verify() == "no error");
}

TEST_CASE("other statements, predicates, methods and hashes are refused") {
  struct Case {
    const char* pointer;
    json value;
    const char* words;
  };
  const std::vector<Case> cases = {
      {"/_type", "https://in-toto.io/Statement/v0.1", "expected 'https://in-toto.io/Statement/v1'"},
      {"/predicateType", "https://slsa.dev/provenance/v1", "model_signing/signature/v1.0"},
      {"/predicateType", "https://model_signing/Digests/v0.1", "0.2"},
      {"/predicate/serialization/method", "shards", "'files'"},
      {"/predicate/serialization/hash_type", "blake3", "'sha256'"},
      {"/predicate/serialization/allow_symlinks", true, "symlink"},
      {"/predicate/serialization/shard_size", 1, "is unknown"},
      {"/predicate/resources/0/algorithm", "blake2b", "'sha256'"},
      {"/predicate/resources/0/digest", std::string(64, 'A'), "lower-case hex"},
      {"/predicate/resources", json::array(), "1 to"},
      {"/predicate/extra", 1, "is unknown"},
      {"/subject", json::array(), "exactly one"},
      {"/extra", 1, "is unknown"}};
  for (const Case& one : cases) {
    CAPTURE(one.pointer);
    Forge forge;
    forge.statement[json::json_pointer(one.pointer)] = one.value;
    says(forge.verify(), "corrupt", one.words);
  }
}

TEST_CASE("a bundle with other media, keys or signatures is refused") {
  struct Case {
    const char* pointer;
    json value;
    const char* code;
    const char* words;
  };
  const std::vector<Case> cases = {
      {"/mediaType", "application/vnd.dev.sigstore.bundle.v0.2+json", "corrupt", "mediaType"},
      {"/extra", 1, "corrupt", "is unknown"},
      {"/dsseEnvelope/payloadType", "text/plain", "corrupt", "payloadType"},
      {"/dsseEnvelope/extra", 1, "corrupt", "is unknown"},
      {"/dsseEnvelope/signatures", json::array(), "corrupt", "exactly one signature"},
      {"/dsseEnvelope/signatures/0/extra", 1, "corrupt", "is unknown"},
      {"/dsseEnvelope/signatures/0/sig", "AAAA\n", "corrupt", "canonical base64"},
      {"/dsseEnvelope/signatures/0/sig", "AAAA", "untrusted", "does not verify"},
      {"/dsseEnvelope/signatures/0/sig", "", "untrusted", "does not verify"},
      {"/verificationMaterial/tlogEntries", json::array({1}), "corrupt", "empty list"},
      {"/verificationMaterial/publicKey/hint", std::string(64, '0'), "untrusted", "none of"},
      {"/verificationMaterial/publicKey/hint", "abc", "corrupt", "64 lower-case hex"},
      {"/verificationMaterial/publicKey", json::object(), "corrupt", "is missing"},
      {"/verificationMaterial/certificate", json::object(), "untrusted", "certificate"}};
  for (const Case& one : cases) {
    CAPTURE(one.pointer);
    const Forge forge;
    json bundle = forge.bundle();
    bundle[json::json_pointer(one.pointer)] = one.value;
    says(forge.verify(bundle), one.code, one.words);
  }
}

TEST_CASE("a second signature is refused, whichever of the two is good") {
  const Forge forge;
  json bundle = forge.bundle();
  auto& signatures = bundle["dsseEnvelope"]["signatures"];
  signatures.push_back(signatures[0]);
  says(forge.verify(bundle), "corrupt", "exactly one signature");
}

TEST_CASE("older and foreign spellings that mean the same are accepted") {
  const Forge forge;
  json bundle = forge.bundle();
  bundle["dsseEnvelope"]["signatures"][0]["keyid"] = "";
  CHECK(forge.verify(bundle) == "no error");
  bundle["dsseEnvelope"]["signatures"][0]["keyid"] = nullptr;
  bundle["verificationMaterial"].erase("tlogEntries");
  bundle["verificationMaterial"]["timestampVerificationData"] = {
      {"rfc3161Timestamps", json::array()}};
  CHECK(forge.verify(bundle.dump(4) + "\n") == "no error");
  bundle["verificationMaterial"]["publicKey"] = {
      {"rawBytes", base64_encode(forge.key.public_key().pem())},
      {"keyDetails", "PKIX_ECDSA_P256_SHA_256"}};
  CHECK(forge.verify(bundle) == "no error");
  bundle["verificationMaterial"]["publicKey"]["rawBytes"] = base64_encode("no key");
  says(forge.verify(bundle), "corrupt", "exactly one PEM public key");
  const std::string other = SecretKey::generate(Curve::p256).public_key().pem();
  bundle["verificationMaterial"]["publicKey"]["rawBytes"] = base64_encode(other);
  says(forge.verify(bundle), "untrusted", "none of the 1 given");
}

TEST_CASE("a bundle of model_signing 0.2 counts on request, by its own encoding alone") {
  Forge forge;
  const json file = {{"name", "it's \"a\".txt"}, {"digest", {{"sha256", sha256("a").hex()}}}};
  forge.statement = {{"_type", "https://in-toto.io/Statement/v1"},
                     {"predicateType", "https://model_signing/Digests/v0.1"},
                     {"subject", json::array({file})},
                     {"predicate", {{"unused", "Unused, just passed due to API requirements"}}}};
  const std::string payload = forge.statement.dump(2);
  const auto bundle = [&](const std::string& message) {
    return internal::write_bundle(payload, internal::sign_message(forge.key, message),
                                  forge.key.public_key().id());
  };
  const std::string good = bundle(internal::legacy_encoding(payload));
  says(forge.verify(good), "untrusted", "calls itself one of model_signing 0.2");
  SignerTrust trust{{forge.key.public_key()}};
  trust.legacy = true;
  const SignedStatement statement = judge_bundle(good, trust, "model.sig");
  CHECK(statement.legacy);
  CHECK(statement.resources.size() == 1);
  CHECK(statement.key == forge.key.public_key().id());
  CHECK(read_bundle(good, "model.sig").legacy);
  const std::string other = bundle(internal::legacy_encoding(payload + " "));
  says(error_of([&] { judge_bundle(other, trust, "model.sig"); }), "untrusted", "does not verify");
  // Nobody wrote the old statement in the settled encoding.
  const std::string settled = bundle(internal::pre_authentication_encoding(payload));
  says(error_of([&] { judge_bundle(settled, trust, "model.sig"); }), "corrupt", "0.2");
  const Forge current;
  trust.keys = {current.key.public_key()};
  CHECK_FALSE(judge_bundle(current.bundle().dump(), trust, "model.sig").legacy);
}

TEST_CASE("the encoding of model_signing 0.2 is Python's text of a byte string") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"plain", "b'plain'"},
      {"it's", "b\"it's\""},
      {"say \"x\"", "b'say \"x\"'"},
      {"it's \"x\"", "b'it\\'s \"x\"'"},
      {"a\\b\t\n\r", "b'a\\\\b\\t\\n\\r'"},
      {"\x01\x7F\xC3\xBC", "b'\\x01\\x7f\\xc3\\xbc'"},
      {"", "b''"}};
  for (const auto& [payload, text] : cases) {
    CHECK(internal::legacy_encoding(payload) ==
          "DSSEV1 28 application/vnd.in-toto+json " + std::to_string(payload.size()) + " " + text);
  }
}

TEST_CASE("every truncation of a bundle is refused as damage") {
  const Forge forge;
  const std::string text = forge.bundle().dump();
  for (std::size_t size = 0; size < text.size(); ++size) {
    const std::string error = forge.verify(text.substr(0, size));
    if (!error.starts_with("corrupt: ")) FAIL_CHECK("accepted or other class at " << size);
  }
}

TEST_CASE("a duplicate key in envelope or statement is refused") {
  const Forge forge;
  std::string text = forge.bundle().dump();
  text.insert(1, "\"mediaType\":\"x\",");
  says(forge.verify(text), "corrupt", "twice");
}

TEST_CASE("the payload is verified over the bytes received, never over a second writing") {
  const Forge forge;
  json bundle = forge.bundle();
  bundle["dsseEnvelope"]["payload"] = base64_encode(forge.statement.dump());
  says(forge.verify(bundle), "untrusted", "does not verify");
}

TEST_CASE("an organ is signed once, replaced on request, and never when damaged") {
  const TempFolder folder = scratch();
  const SecretKey key = SecretKey::generate(Curve::p384);
  const OrganFolder organ = OrganFolder::open(test::write_tiny_organ(folder.path() / "organ"));
  sign_folder(organ, key);
  CHECK(compare_statement(verify_bundle(OrganFolder::open(organ.folder()).signature_bundles()[0],
                                        {key.public_key()}, "model.sig"),
                          organ)
            .empty());
  says(error_of([&] { sign_folder(organ, key); }), "already_exists", "model.sig");
  sign_folder(organ, key, true);
  fs::resize_file(organ.folder() / "layer.00.safetensors", 100);
  says(error_of([&] { sign_folder(organ, key, true); }), "corrupt", "layer.00.safetensors");
}

TEST_CASE("a foreign model folder is compared file by file") {
  const TempFolder folder = scratch();
  write_file(folder.path() / "a.txt", "a");
  fs::create_directory(folder.path() / "sub");
  write_file(folder.path() / "sub" / "b.txt", "b");
  SignedStatement statement;
  statement.resources = {{"a.txt", sha256("a")}, {"sub/b.txt", sha256("b")}};
  CHECK(verify_model_folder(folder.path(), statement).empty());
  write_file(folder.path() / "a.txt", "x");
  fs::remove(folder.path() / "sub" / "b.txt");
  write_file(folder.path() / "new.txt", "x");
  fs::create_symlink("a.txt", folder.path() / "link");
  const auto findings = verify_model_folder(folder.path(), statement);
  REQUIRE(findings.size() == 4);
  CHECK(findings[0].message == "is not a regular file");
  CHECK(findings[1].message.find("was signed") != std::string::npos);
  CHECK(findings[2].message == "is not covered by the signature");
  CHECK(findings[3].message == "is signed but missing");
}

}  // namespace organ::format
