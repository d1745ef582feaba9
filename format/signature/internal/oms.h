// SPDX-License-Identifier: Apache-2.0
// The layers of an OMS bundle, each in its own file: raw ECDSA (keys.cc), Sigstore bundle and DSSE
// envelope (oms_envelope.cc), whose signatures count (open_bundle.cc), in-toto statement
// (statement.h), what OMS states (oms_statement.cc).
// Attestations state something else and share the rest.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/signature/signing.h"

namespace organ::format::internal {

inline constexpr std::string_view kPayloadType = "application/vnd.in-toto+json";

// DER signature over `message` with the hash of the key's curve.
std::string sign_message(const SecretKey& key, std::string_view message);

// True only for a strict DER signature, r and s in range, that verifies. False for everything
// else, whatever OpenSSL thought of it.
bool verify_message(const PublicKey& key, std::string_view message, std::string_view signature);

// True only for the same with SHA-256, whatever the curve: what model_signing 0.2 wrote.
bool verify_legacy_message(const PublicKey& key, std::string_view message,
                           std::string_view signature);

// What a bundle says before anything is believed.
struct Envelope {
  std::string payload;    // decoded; the signature covers exactly these bytes
  std::string signature;  // decoded
  KeyId hint;             // names the key; trusted only after the signature verified
  // Of a bundle that was signed with a certificate, DER: the chain, leaf first (hint is then the
  // leaf's key), and RFC 3161 responses.
  std::vector<std::string> chain = {};
  std::vector<std::string> timestamps = {};
};

// DSSE 1.0 pre-authentication encoding of an in-toto payload.
std::string pre_authentication_encoding(std::string_view payload);
// The encoding that model_signing 0.2 signed by mistake: DSSEV1, and the payload as Python writes a
// byte string (b'…' with escapes).
std::string legacy_encoding(std::string_view payload);

std::string write_bundle(std::string_view payload, std::string_view signature, const KeyId& hint);
std::string write_bundle(std::string_view payload, std::string_view signature,
                         const CertificateSet& chain);
// The bundle with one more RFC 3161 response; all else keeps its value. It must have been parsed.
std::string add_timestamp(std::string_view bundle, std::string_view response,
                          std::string_view subject);
Envelope parse_bundle(std::string_view bundle, std::string_view subject);

// The bundle of a payload, signed; with a chain it names the key by that. Throws invalid_argument
// as sign_resources.
std::string sign_payload(std::string_view payload, const SecretKey& key,
                         const CertificateSet& chain = {});

// What a signature that counts covers.
struct SignedPayload {
  std::string payload;
  KeyId key;
  std::optional<CertificateSigner> certificate = {};  // what names the key, where one does
  bool legacy = false;  // signed as model_signing 0.2 did: for parse_legacy_statement alone
  std::vector<std::string> notes = {};  // why time stamps of it prove nothing
};
// Throws corrupt as parse_bundle, and untrusted unless somebody of `trust` signed it.
SignedPayload open_bundle(std::string_view bundle, const SignerTrust& trust,
                          std::string_view subject);

std::string write_statement(std::string_view subject_name,
                            const std::vector<SignedResource>& resources);
// Everything but SignedStatement::key.
SignedStatement parse_statement(std::string_view payload, std::string_view subject);
// The same of model_signing 0.2: one subject for each file, no root, nothing ignored.
SignedStatement parse_legacy_statement(std::string_view payload, std::string_view subject);
// Whether the payload calls itself one of model_signing 0.2; false for what is no JSON.
bool is_legacy_statement(std::string_view payload);

// Does an entry of ignore_paths hide this file of the folder?
bool ignore_covers(const std::string& ignored, std::string_view name);

}  // namespace organ::format::internal
