// SPDX-License-Identifier: Apache-2.0
// Sigstore bundle v0.3 around a DSSE envelope, as OMS v1.0 uses them with a bare key or
// certificates.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "format/base/base64.h"
#include "format/base/fail.h"
#include "format/base/json.h"
#include "format/signature/internal/certificates.h"
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
    object.fail_field(key, "expected an empty list: nobody signs with both ways at once");
  }
}

// The bytes in one field of each object of a list, no more than `most` objects.
std::vector<std::string> decode_list(const JsonObject& object, std::string_view key,
                                     std::string_view field, std::size_t most) {
  const auto elements = object.objects(key);
  if (elements.size() > most) {
    object.fail_field(key,
                      fmt::format("has {} entries, at most {} are allowed", elements.size(), most));
  }
  std::vector<std::string> list;
  for (const JsonObject& element : elements) {
    element.allow_only({field});
    list.push_back(decode(element, field));
  }
  return list;
}

std::vector<std::string> read_timestamps(const JsonObject& material) {
  if (material.is_null("timestampVerificationData")) return {};
  const JsonObject data = material.object("timestampVerificationData");
  data.allow_only({"rfc3161Timestamps"});
  if (data.is_null("rfc3161Timestamps")) return {};
  return decode_list(data, "rfc3161Timestamps", "signedTimestamp", kMostTimestamps);
}

void read_chain(const JsonObject& material, Envelope& envelope) {
  const JsonObject chain = material.object("x509CertificateChain");
  chain.allow_only({"certificates"});
  envelope.chain = decode_list(chain, "certificates", "rawBytes", kMostCertificates);
  envelope.timestamps = read_timestamps(material);
  envelope.hint =
      leaf_key(CertificateSet::from_der(envelope.chain, chain.path()), chain.path()).id();
}

void read_material(const JsonObject& material, Envelope& envelope) {
  if (!material.is_null("certificate")) {
    throw Error(ErrorCode::untrusted,
                fmt::format("{}: signed through Sigstore, whose certificates and logs no key or "
                            "root of ours can vouch for",
                            material.path()),
                "ask the publisher for a model.sig made with a key or a certificate");
  }
  material.allow_only({"publicKey", "tlogEntries", "timestampVerificationData", "certificate",
                       "x509CertificateChain"});
  expect_empty_list(material, "tlogEntries");
  const bool is_certified = !material.is_null("x509CertificateChain");
  if (is_certified && !material.is_null("publicKey")) {
    material.fail_field("publicKey", "stands beside x509CertificateChain: one of them signs");
  }
  if (is_certified) return read_chain(material, envelope);
  if (!read_timestamps(material).empty()) {
    material.fail_field("timestampVerificationData", "expected no time stamps beside a bare key");
  }
  envelope.hint = read_key_id(material.object("publicKey"));
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

Json parse_bundle_json(std::string_view bundle, std::string_view subject) {
  JsonLimits limits;
  limits.bytes = kSignatureLimit;
  limits.string_bytes = kSignatureLimit;
  limits.keys = 1000;
  return parse_json(bundle, limits, subject);
}

std::string bundle_of(std::string_view payload, std::string_view signature, Json material) {
  material["tlogEntries"] = Json::array();
  const Json bundle = {
      {"mediaType", kMediaType},
      {"verificationMaterial", std::move(material)},
      {"dsseEnvelope",
       {{"payload", base64_encode(payload)},
        {"payloadType", kPayloadType},
        {"signatures", Json::array({Json::object({{"sig", base64_encode(signature)}})})}}}};
  return canonical_json(bundle);
}

// repr() of a Python bytes object: single quotes unless only those occur in it.
std::string python_bytes(std::string_view bytes) {
  const bool single = bytes.find('\'') == bytes.npos || bytes.find('"') != bytes.npos;
  const char mark = single ? '\'' : '"';
  std::string text = {'b', mark};
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == mark || c == '\\') {
      text += {'\\', c};
    } else if (c == '\t' || c == '\n' || c == '\r') {
      text += c == '\t' ? "\\t" : c == '\n' ? "\\n" : "\\r";
    } else if (byte < 0x20 || byte >= 0x7F) {
      text += fmt::format("\\x{:02x}", byte);
    } else {
      text += c;
    }
  }
  return text + mark;
}

}  // namespace

std::string pre_authentication_encoding(std::string_view payload) {
  return fmt::format("DSSEv1 {} {} {} {}", kPayloadType.size(), kPayloadType, payload.size(),
                     payload);
}

std::string legacy_encoding(std::string_view payload) {
  return fmt::format("DSSEV1 {} {} {} {}", kPayloadType.size(), kPayloadType, payload.size(),
                     python_bytes(payload));
}

std::string write_bundle(std::string_view payload, std::string_view signature, const KeyId& hint) {
  return bundle_of(payload, signature, Json{{"publicKey", {{"hint", hint.hex()}}}});
}

std::string write_bundle(std::string_view payload, std::string_view signature,
                         const CertificateSet& chain) {
  Json certificates = Json::array();
  for (std::size_t i = 0; i < chain.size(); ++i) {
    certificates.push_back(Json::object({{"rawBytes", base64_encode(chain.der(i))}}));
  }
  return bundle_of(payload, signature,
                   Json{{"x509CertificateChain", {{"certificates", std::move(certificates)}}}});
}

std::string add_timestamp(std::string_view bundle, std::string_view response,
                          std::string_view subject) {
  Json document = parse_bundle_json(bundle, subject);
  Json& data = document["verificationMaterial"]["timestampVerificationData"];
  if (!data.is_object()) data = Json::object();
  Json& list = data["rfc3161Timestamps"];
  if (!list.is_array()) list = Json::array();
  list.push_back(Json::object({{"signedTimestamp", base64_encode(response)}}));
  return canonical_json(document);
}

Envelope parse_bundle(std::string_view bundle, std::string_view subject) {
  const Json document = parse_bundle_json(bundle, subject);
  const JsonObject root(document, std::string(subject));
  root.allow_only({"mediaType", "verificationMaterial", "dsseEnvelope"});
  root.require_string("mediaType", kMediaType);
  const JsonObject envelope = root.object("dsseEnvelope");
  envelope.allow_only({"payload", "payloadType", "signatures"});
  envelope.require_string("payloadType", kPayloadType);
  Envelope result;
  read_material(root.object("verificationMaterial"), result);
  result.signature = read_signature(envelope);
  result.payload = decode(envelope, "payload");
  return result;
}

}  // namespace organ::format::internal
