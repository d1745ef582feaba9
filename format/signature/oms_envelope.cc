// SPDX-License-Identifier: Apache-2.0
// Sigstore bundle v0.3 around a DSSE envelope, as OMS v1.0 uses them with a bare key.
#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "format/base/base64.h"
#include "format/base/fail.h"
#include "format/base/json.h"
#include "format/signature/internal/oms.h"

namespace organ::format::internal {
namespace {

constexpr std::string_view kMediaType = "application/vnd.dev.sigstore.bundle.v0.3+json";
constexpr std::size_t kMostSignatureBytes = 1024;

std::string decode(const JsonObject& object, std::string_view key) {
  auto bytes = base64_decode(object.string(key));
  if (!bytes) object.fail_field(key, "is not canonical base64");
  return std::move(*bytes);
}

// Bundles of model_signing before 1.1 carry the key itself in place of its digest.
KeyId legacy_key_id(const JsonObject& key) {
  key.allow_only({"rawBytes", "keyDetails", "hint"});
  key.optional_string("keyDetails");  // the curve of the trusted key decides, not this
  const std::string pem = decode(key, "rawBytes");
  try {
    return PublicKey::parse(pem, key.path() + ".rawBytes").id();
  } catch (const Error& error) {
    throw Error(ErrorCode::corrupt, error.message(), error.hint());
  }
}

KeyId read_key_id(const JsonObject& key) {
  if (key.has("rawBytes")) return legacy_key_id(key);
  key.allow_only({"hint"});
  const std::string hint = key.string("hint");
  try {
    return Digest::parse_hex(hint);
  } catch (const Error&) {
    key.fail_field("hint", fmt::format("expected 64 lower-case hex digits, got {}", quote(hint)));
  }
}

void expect_empty_list(const JsonObject& object, std::string_view key) {
  if (object.is_null(key)) return;
  if (!object.at(key).is_array() || !object.at(key).empty()) {
    object.fail_field(key, "expected an empty list beside a bare key");
  }
}

KeyId read_material(const JsonObject& material) {
  for (const std::string_view key : {"certificate", "x509CertificateChain"}) {
    if (material.is_null(key)) continue;
    throw Error(ErrorCode::untrusted,
                fmt::format("{}: signed with a certificate, which no key of ours can vouch for",
                            material.path()),
                "ask the publisher for a model.sig made with a key");
  }
  material.allow_only({"publicKey", "tlogEntries", "timestampVerificationData", "certificate",
                       "x509CertificateChain"});
  expect_empty_list(material, "tlogEntries");
  if (!material.is_null("timestampVerificationData")) {
    const JsonObject timestamps = material.object("timestampVerificationData");
    timestamps.allow_only({"rfc3161Timestamps"});
    expect_empty_list(timestamps, "rfc3161Timestamps");
  }
  return read_key_id(material.object("publicKey"));
}

// Verifiers look at the first signature only, so a second one could only mislead.
std::string read_signature(const JsonObject& envelope) {
  const auto signatures = envelope.objects("signatures");
  if (signatures.size() != 1) {
    envelope.fail_field("signatures",
                        fmt::format("expected exactly one signature, got {}", signatures.size()));
  }
  signatures[0].allow_only({"sig", "keyid"});
  signatures[0].optional_string("keyid");  // a hint at most; nothing depends on it
  std::string signature = decode(signatures[0], "sig");
  if (signature.size() > kMostSignatureBytes) {
    signatures[0].fail_field("sig", fmt::format("has {} bytes, at most {} are allowed",
                                                signature.size(), kMostSignatureBytes));
  }
  return signature;
}

// A bundle must not name its own key: only a key of ours with that id may verify it.
const PublicKey& key_for(const KeyId& hint, const std::vector<PublicKey>& keys,
                         std::string_view subject) {
  const auto found = std::find_if(keys.begin(), keys.end(),
                                  [&](const PublicKey& key) { return key.id() == hint; });
  if (found != keys.end()) return *found;
  throw Error(ErrorCode::untrusted,
              keys.empty()
                  ? fmt::format("{}: signed by key {}, and no key was given", subject, hint.hex())
                  : fmt::format("{}: signed by key {}, which is none of the {} given", subject,
                                hint.hex(), keys.size()),
              "--key PUB names the public key you trust");
}

}  // namespace

std::string pre_authentication_encoding(std::string_view payload) {
  return fmt::format("DSSEv1 {} {} {} {}", kPayloadType.size(), kPayloadType, payload.size(),
                     payload);
}

std::string write_bundle(std::string_view payload, std::string_view signature, const KeyId& hint) {
  const Json bundle = {
      {"mediaType", kMediaType},
      {"verificationMaterial",
       {{"publicKey", {{"hint", hint.hex()}}}, {"tlogEntries", Json::array()}}},
      {"dsseEnvelope",
       {{"payload", base64_encode(payload)},
        {"payloadType", kPayloadType},
        {"signatures", Json::array({Json::object({{"sig", base64_encode(signature)}})})}}}};
  return canonical_json(bundle);
}

Envelope parse_bundle(std::string_view bundle, std::string_view subject) {
  JsonLimits limits;
  limits.bytes = kSignatureLimit;
  limits.string_bytes = kSignatureLimit;
  limits.keys = 1000;
  const Json document = parse_json(bundle, limits, subject);
  const JsonObject root(document, std::string(subject));
  root.allow_only({"mediaType", "verificationMaterial", "dsseEnvelope"});
  root.require_string("mediaType", kMediaType);
  const JsonObject envelope = root.object("dsseEnvelope");
  envelope.allow_only({"payload", "payloadType", "signatures"});
  envelope.require_string("payloadType", kPayloadType);
  Envelope result;
  result.hint = read_material(root.object("verificationMaterial"));
  result.signature = read_signature(envelope);
  result.payload = decode(envelope, "payload");
  return result;
}

std::string sign_payload(std::string_view payload, const SecretKey& key) {
  const std::string message = pre_authentication_encoding(payload);
  return write_bundle(payload, sign_message(key, message), key.public_key().id());
}

Envelope open_bundle(std::string_view bundle, const std::vector<PublicKey>& keys,
                     std::string_view subject) {
  Envelope envelope = parse_bundle(bundle, subject);
  const PublicKey& key = key_for(envelope.hint, keys, subject);
  const std::string message = pre_authentication_encoding(envelope.payload);
  if (!verify_message(key, message, envelope.signature)) {
    fail(ErrorCode::untrusted, "{}: the signature does not verify with key {}", subject,
         key.id().hex());
  }
  return envelope;
}

}  // namespace organ::format::internal
