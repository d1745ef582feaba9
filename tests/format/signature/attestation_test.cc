// SPDX-License-Identifier: Apache-2.0
#include "format/signature/attestation.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "format/organ/organ_source.h"
#include "format/signature/attached_bundles.h"
#include "format/signature/internal/attestation_statement.h"
#include "format/signature/internal/oms.h"
#include "tests/support/support.h"
#include "tests/support/tiny_organ.h"

namespace organ::format {
namespace {

using nlohmann::json;
using test::error_of;
using test::scratch;

constexpr AttestationType kTypes[] = {AttestationType::evaluation, AttestationType::compatibility,
                                      AttestationType::training};

const char* const kFit =
    R"({"recipient":{"name":"model","config_digest":")"
    "sha256:0000000000000000000000000000000000000000000000000000000000000001"
    R"("},"position":2,"layer_count":1,"level":"A","installable":true,"fitting_positions":[2,3],)"
    R"("findings":[{"rule":"dtype","severity":"note","expected":"F32","actual":"BF16",)"
    R"("message":"other","hint":""}]})";

Manifest full_organ() {
  static const TempFolder folder = scratch();
  static const Manifest organ =
      OrganFolder::open(test::write_tiny_organ(folder.path() / "organ", 1, true)).manifest();
  return organ;
}

JsonText predicate_of(AttestationType type) {
  if (type != AttestationType::compatibility) return recorded_predicate(type, full_organ());
  return parse_predicate(type, kFit, "fit.json");
}

// A well-formed statement that each test damages in one place before it is signed.
struct Forge {
  SecretKey key = SecretKey::generate(Curve::p256);
  json statement;

  explicit Forge(AttestationType type = AttestationType::evaluation) {
    const std::string bundle =
        sign_attestation(type, full_organ(), sha256("manifest"), predicate_of(type), key);
    statement = json::parse(internal::parse_bundle(bundle, "bundle").payload);
  }
  json& predicate() { return statement["predicate"]; }
  std::string bundle() const { return internal::sign_payload(statement.dump(2), key); }
  std::string verify() const {
    return error_of([&] { verify_attestation(bundle(), {{key.public_key()}}, "attestation"); });
  }
};

void says(const std::string& error, std::string_view code, std::string_view words) {
  CAPTURE(error);
  CHECK(error.starts_with(code));
  CHECK(error.find(words) != std::string::npos);
}

}  // namespace

TEST_CASE("attestations of each type are read as they were signed, by no other key") {
  const SecretKey key = SecretKey::generate(Curve::p384);
  const PublicKey other = SecretKey::generate(Curve::p256).public_key();
  for (const AttestationType type : kTypes) {
    const JsonText predicate = predicate_of(type);
    const std::string bundle =
        sign_attestation(type, full_organ(), sha256("manifest"), predicate, key);
    CHECK(is_attestation(bundle));
    const Attestation read = verify_attestation(bundle, {{other, key.public_key()}}, "attestation");
    CHECK(read.type == type);
    CHECK(parse_attestation_type(to_string(type)) == type);
    CHECK(read.organ == full_organ().name + ":" + full_organ().version);
    CHECK(read.identity == sha256("manifest"));
    CHECK(read.predicate == predicate);
    CHECK(read.key == key.public_key().id());
    CHECK(read.evaluations.size() == (type == AttestationType::evaluation ? 1 : 0));
    CHECK(read.fit.has_value() == (type == AttestationType::compatibility));
    CHECK(read.training.has_value() == (type == AttestationType::training));
    says(error_of([&] { verify_attestation(bundle, {{other}}, "attestation"); }), "untrusted",
         "none of");
    CHECK(read_attestation(bundle, "attestation").key == key.public_key().id());
    // What states something is no signature of the files, and the other way round.
    says(error_of([&] { verify_bundle(bundle, {key.public_key()}, "model.sig"); }), "corrupt",
         "model.sig");
  }
  CHECK(!parse_attestation_type("signature"));
}

TEST_CASE("attestations: a figure that was changed after signing does not verify") {
  Forge forge;
  json bundle = json::parse(forge.bundle());
  forge.predicate()["evaluations"][0]["nll"] = 0.25;
  const json other = json::parse(forge.bundle());
  bundle["dsseEnvelope"]["payload"] = other["dsseEnvelope"]["payload"];
  says(error_of(
           [&] { verify_attestation(bundle.dump(), {{forge.key.public_key()}}, "attestation"); }),
       "untrusted", "does not verify");
}

TEST_CASE("attestations: the forge makes what verifies, so that each refusal has one reason") {
  for (const AttestationType type : kTypes) CHECK(Forge(type).verify() == "no error");
}

TEST_CASE("attestations: other statements, subjects and predicates are refused") {
  struct Case {
    const char* pointer;
    json value;
    const char* code;
    const char* words;
  };
  const std::string uri = "https://schemas.invalid/organ/attestation/";
  for (const Case& one : std::initializer_list<Case>{
           {"/_type", "https://in-toto.io/Statement/v0.1", "corrupt", "Statement/v1"},
           {"/predicateType", "https://slsa.dev/provenance/v1", "corrupt", "no attestation of"},
           {"/predicateType", uri + "evaluation/v2", "unsupported_version", "does not know"},
           {"/predicateType", uri + "training/v1", "corrupt", "'evaluations'"},
           {"/extra", 1, "corrupt", "extra"},
           {"/subject", json::array(), "corrupt", "exactly one"},
           {"/subject/0/name", "nothing", "corrupt", "NAME:VERSION"},
           {"/subject/0/name", "../x:1.0.0", "corrupt", "NAME:VERSION"},
           {"/subject/0/digest/sha256", "ab", "corrupt", "64 lower-case"},
           {"/subject/0/digest/sha1", "ab", "corrupt", "sha1"},
           {"/predicate", json::array(), "corrupt", "predicate"},
           {"/predicate/evaluations", json::array(), "corrupt", "is empty"},
           {"/predicate/more", 1, "corrupt", "more"},
           {"/predicate/evaluations/0/nll", -1, "corrupt", "nll"},
           {"/predicate/evaluations/0/nll", "two", "corrupt", "nll"},
           {"/predicate/evaluations/0/protocol", "P3", "corrupt", "diagnostic"},
           {"/predicate/evaluations/0/subject", "somebody", "corrupt", "subject"},
           {"/predicate/evaluations/0/tokens", -4, "corrupt", "tokens"},
           {"/predicate/evaluations/0/dataset", std::string(5000, 'x'), "corrupt", "dataset"}}) {
    CAPTURE(one.pointer);
    Forge forge;
    forge.statement[json::json_pointer(one.pointer)] = one.value;
    says(forge.verify(), one.code, one.words);
  }
}

TEST_CASE(
    "attestations: what is said of a recipient or of training has the forms of its documents") {
  struct Case {
    AttestationType type;
    const char* pointer;
    json value;
    const char* words;
  };
  for (const Case& one : std::initializer_list<Case>{
           {AttestationType::compatibility, "/predicate/level", "E", "level"},
           {AttestationType::compatibility, "/predicate/level", "", "level"},
           {AttestationType::compatibility, "/predicate/installable", 1, "installable"},
           {AttestationType::compatibility, "/predicate/recipient/config_digest", "x", "digest"},
           {AttestationType::compatibility, "/predicate/recipient/path", "/", "path"},
           {AttestationType::compatibility, "/predicate/findings/0/severity", "bad", "severity"},
           {AttestationType::training, "/predicate/training/mode", "other", "training.mode"},
           {AttestationType::training, "/predicate/training/data/0/digest", "x", "digest"},
           {AttestationType::training, "/predicate/extraction/layer_count", 9, "layer_count"},
           {AttestationType::training, "/predicate/builder", "me", "builder"}}) {
    CAPTURE(one.pointer);
    Forge forge(one.type);
    forge.statement[json::json_pointer(one.pointer)] = one.value;
    says(forge.verify(), "corrupt", one.words);
  }
}

TEST_CASE("attestations: limits come before anything is read") {
  Forge forge;
  std::string bundle = forge.bundle();
  bundle.append(kAttestationLimit, ' ');
  says(error_of([&] { read_attestation(bundle, "attestation"); }), "corrupt", "at most");
  CHECK(!is_attestation(bundle));
  json deep = 1;
  for (int i = 0; i < 40; ++i) deep = json::array({deep});
  forge.predicate()["evaluations"][0]["lead_in"] = deep;
  says(forge.verify(), "corrupt", "levels");
  CHECK(!is_attestation("{}"));
  CHECK(!is_attestation(""));
  CHECK(!is_attestation(sign_resources("model", {{"a", sha256("a")}}, forge.key)));
}

TEST_CASE("attestations: however its JSON is written, one is told from a signature") {
  const Forge forge;
  std::string payload = forge.statement.dump();
  for (std::size_t at = 0; (at = payload.find('/', at)) != payload.npos; at += 2) {
    payload.insert(at, "\\");  // as other writers escape it
  }
  const std::string bundle = internal::sign_payload(payload, forge.key);
  CHECK(is_attestation(bundle));
  CHECK(verify_attestation(bundle, {{forge.key.public_key()}}, "a").type ==
        AttestationType::evaluation);
}

TEST_CASE("attached bundles: neither kind keeps out the other, and too many are left out") {
  const Forge forge;
  AttachedBundles attached;
  for (int i = 0; i < 70; ++i) attached.offer(forge.bundle());
  CHECK(attached.attestations().size() == kMostBundles);
  CHECK(attached.left_out() == 6);
  CHECK(attached.room() > 0);
  for (int i = 0; i < 64; ++i) {
    attached.offer(sign_resources("model", {{"a", sha256(std::to_string(i))}}, forge.key));
  }
  CHECK(attached.signatures().size() == kMostBundles);
  CHECK(attached.room() == 0);
  AttachedBundles large;
  for (int i = 0; i < 3; ++i) large.offer(std::string(30 << 20, ' '));
  CHECK(large.signatures().size() == 2);
  CHECK(large.left_out() == 1);
}

TEST_CASE("attestations: nothing is stated that the organ does not record") {
  Manifest organ = full_organ();
  organ.evaluations.clear();
  organ.training.reset();
  for (const AttestationType type : kTypes) {
    says(error_of([&] { recorded_predicate(type, organ); }), "invalid_argument", "records nothing");
  }
  says(error_of([] { parse_predicate(AttestationType::evaluation, "[]", "f.json"); }), "corrupt",
       "f.json");
}

}  // namespace organ::format
