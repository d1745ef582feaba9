// SPDX-License-Identifier: Apache-2.0
// The layers of an OMS bundle, each in its own file: raw ECDSA (keys.cc), Sigstore bundle and DSSE
// envelope (oms_envelope.cc), in-toto statement (statement.h), what OMS states (oms_statement.cc).
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

// What a bundle says before anything is believed.
struct Envelope {
  std::string payload;    // decoded; the signature covers exactly these bytes
  std::string signature;  // decoded
  KeyId hint;             // names the key; trusted only after the signature verified
};

// DSSE 1.0 pre-authentication encoding of an in-toto payload.
std::string pre_authentication_encoding(std::string_view payload);

std::string write_bundle(std::string_view payload, std::string_view signature, const KeyId& hint);
Envelope parse_bundle(std::string_view bundle, std::string_view subject);

// The bundle of a payload, signed.
std::string sign_payload(std::string_view payload, const SecretKey& key);
// The same as parse_bundle, its signature verified: by the key of `keys` that it names. Throws also
// untrusted.
Envelope open_bundle(std::string_view bundle, const std::vector<PublicKey>& keys,
                     std::string_view subject);

std::string write_statement(std::string_view subject_name,
                            const std::vector<SignedResource>& resources);
// Everything but SignedStatement::key.
SignedStatement parse_statement(std::string_view payload, std::string_view subject);

// Does an entry of ignore_paths hide this file of the folder?
bool ignore_covers(const std::string& ignored, std::string_view name);

}  // namespace organ::format::internal
