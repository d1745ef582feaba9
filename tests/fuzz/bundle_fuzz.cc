// SPDX-License-Identifier: Apache-2.0
// Input: model.sig, or the statement inside one. A key that signed exactly one statement is at
// hand, and a root that certified the signer of two others, so whatever verifies must be those.
#include <algorithm>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "format/base/json.h"
#include "format/organ/ignored_files.h"
#include "format/signature/internal/oms.h"
#include "tests/fuzz/target.h"
#include "tests/support/paths.h"

namespace organ::format {
namespace {

using fuzz::demand;
using internal::Envelope;

const PublicKey& key() {
  static const PublicKey loaded =
      PublicKey::load(std::filesystem::path(test::kFuzzKeys) /
                      "c73023430092d176534beefd4daa5e328a59f4ab635e814696e4a71861193f0e.pem");
  return loaded;
}

// The SHA-256 of the statement in seeds/bundle/signed.
constexpr std::string_view kSigned =
    "ace387ff791c019c761987f423f8c9b7589c68dff670cb6c2a007404d6d77e2a";

// Those in seeds/bundle/certified and legacy, which the root's only signer signed; and a moment
// long after its certificate ended, when its time stamp alone keeps the first good.
constexpr std::string_view kCertified =
    "f49b3b3be890c33e5885bb942baa3faa59cf8a455d44ca9f77a5eb17c47ef1e5";
constexpr std::string_view kLegacy =
    "7921d4f6cf0a52dd39dde24bf3e62cb2cdf2180f8a895f245a46fc116bb57c63";
constexpr std::int64_t kSignedAt = 1'795'787'720, kLongAfter = kSignedAt + 1'000'000'000;

SignerTrust roots_at(std::int64_t now) {
  static const CertificateSet root =
      CertificateSet::load(std::filesystem::path(test::kFuzzKeys) / "root.pem");
  SignerTrust trust;
  trust.certificates = CertificateTrust{root, root, {}, now};
  trust.legacy = true;
  return trust;
}

bool equal(const std::vector<SignedResource>& a, const std::vector<SignedResource>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const SignedResource& x, const SignedResource& y) {
                      return x.name == y.name && x.digest == y.digest;
                    });
}

bool ignored_when_written(const SignedStatement& statement) {
  return std::any_of(
      statement.resources.begin(), statement.resources.end(), [](const SignedResource& resource) {
        return std::any_of(std::begin(kIgnoredFiles), std::end(kIgnoredFiles),
                           [&](std::string_view ignored) {
                             return internal::ignore_covers(std::string(ignored), resource.name);
                           });
      });
}

void check_statement(const SignedStatement& statement) {
  demand(!statement.resources.empty(), "a statement signs something");
  for (const SignedResource& resource : statement.resources) {
    demand(resource.name.front() != '/' &&
               ("/" + resource.name + "/").find("/../") == std::string::npos,
           "a signed name lies in the folder");
    for (const std::string& ignored : statement.ignore_paths) {
      demand(!internal::ignore_covers(ignored, resource.name), "what is signed is not hidden");
    }
  }
  if (ignored_when_written(statement)) return;
  const std::string text = internal::write_statement(statement.subject_name, statement.resources);
  const SignedStatement again = internal::parse_statement(text, "again");
  demand(again.root == statement.root && equal(again.resources, statement.resources),
         "a statement is read again as it was written");
  demand(internal::write_statement(again.subject_name, again.resources) == text ||
             again.subject_name != statement.subject_name,
         "its text is a fixed point");
}

void check_envelope(const Envelope& envelope) {
  const std::string text =
      internal::write_bundle(envelope.payload, envelope.signature, envelope.hint);
  const Envelope again = internal::parse_bundle(text, "again");
  demand(again.payload == envelope.payload && again.signature == envelope.signature &&
             again.hint == envelope.hint,
         "a bundle is read again as it was written");
}

void read_bundle_text(std::string_view text) {
  fuzz::expect({ErrorCode::corrupt, ErrorCode::untrusted},
               [&] { check_envelope(internal::parse_bundle(text, "model.sig")); });
  fuzz::expect({ErrorCode::corrupt, ErrorCode::untrusted}, [&] {
    const SignedStatement statement = verify_bundle(text, {key()}, "model.sig");
    demand(statement.key == key().id(), "the key that was asked");
    demand(sha256(internal::parse_bundle(text, "again").payload).hex() == kSigned,
           "only what was signed verifies");
  });
}

void read_certified(std::string_view text, std::int64_t now) {
  fuzz::expect({ErrorCode::corrupt, ErrorCode::untrusted}, [&] {
    const SignedStatement statement = judge_bundle(text, roots_at(now), "model.sig");
    demand(statement.certificate.has_value(), "a root vouches for certificates alone");
    const std::string payload = sha256(internal::parse_bundle(text, "again").payload).hex();
    demand(payload == kCertified || payload == kLegacy, "only what was signed verifies");
    demand(now == kSignedAt || statement.certificate->stamped, "what ended was stamped");
  });
}

// With the root that follows from the listed files.
void read_statement(std::string_view text) {
  const auto parse = [](std::string_view payload) {
    fuzz::expect({ErrorCode::corrupt},
                 [&] { check_statement(internal::parse_statement(payload, "statement")); });
  };
  parse(text);
  std::string repaired;
  try {
    Json json = parse_json(text, {}, "statement");
    Sha256Hasher hasher;
    for (const Json& resource : json.at("predicate").at("resources")) {
      hasher.update(std::as_bytes(std::span(
          Digest::parse_hex(resource.at("digest").get_ref<const std::string&>()).bytes())));
    }
    json.at("subject").at(0).at("digest")["sha256"] = hasher.finish().hex();
    repaired = canonical_json(json);
  } catch (const Error&) {
    return;
  } catch (const Json::exception&) {
    return;  // not of this form, and refused above
  }
  parse(repaired);
}

}  // namespace
}  // namespace organ::format

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text = organ::fuzz::text_of(data, size);
  organ::format::read_bundle_text(text);
  organ::format::read_certified(text, organ::format::kSignedAt);
  organ::format::read_certified(text, organ::format::kLongAfter);
  organ::format::read_statement(text);
  return 0;
}
