// SPDX-License-Identifier: Apache-2.0
// Attestations: what somebody states of a published organ and signs, beside model.sig, which only
// says that these are the files. In-toto Statement v1 in a DSSE envelope in a Sigstore bundle v0.3,
// as model.sig is; the subject is the digest of the organ's OCI manifest, its identity
// (schemas/attestation.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/digest.h"
#include "format/base/json_text.h"
#include "format/manifest/manifest.h"
#include "format/signature/signing.h"

#pragma GCC visibility push(default)

namespace organ::format {

inline constexpr std::uint64_t kAttestationLimit = std::uint64_t{4} << 20;  // bytes of a bundle

enum class AttestationType {
  evaluation,     // figures that were measured
  compatibility,  // whether it fits a recipient
  training,       // what it was cut from, and trained on, by what
};
std::string_view to_string(AttestationType type);  // its name as written here
// nullopt: none of these names.
std::optional<AttestationType> parse_attestation_type(std::string_view name);
// The predicateType of the statement, a URI that names the schema and leads nowhere.
std::string predicate_type(AttestationType type);

// What `organ check` found (schemas/check.v1.schema.json), its findings aside.
struct AttestedFit {
  std::string recipient;       // name for people
  Digest config_digest;        // of the recipient's config, as organ.json names a donor's
  std::uint64_t position = 0;  // the layer of the recipient that was asked about, from 0
  std::string level;           // A | B | C | D (transplant/compatibility.h)
  bool installable = false;
};

// One statement. Fields that its type does not have are empty.
struct Attestation {
  AttestationType type = AttestationType::evaluation;
  std::string organ;                         // NAME:VERSION
  Digest identity;                           // of the OCI manifest
  JsonText predicate;                        // an object, whole
  std::vector<Evaluation> evaluations = {};  // of an evaluation: one or more
  std::optional<AttestedFit> fit = {};
  std::optional<TrainingRecord> training = {};
  KeyId key = {};  // of whoever signed it; of read_attestation(): whom the bundle names
};

// What organ.json itself records, as a predicate: its figures, or its training together with where
// it was cut out. Throws invalid_argument when it records nothing of the kind; it never says what
// an organ fits.
JsonText recorded_predicate(AttestationType type, const Manifest& organ);

// A predicate from a file, within kAttestationLimit. Throws corrupt naming `subject`.
JsonText parse_predicate(AttestationType type, std::string_view text, std::string_view subject);

// The bundle, verified before it is returned. The key alone names the signer: attestations bear no
// certificates here. Throws corrupt for a predicate that parse_predicate refuses, invalid_argument
// for one that makes the bundle too long.
std::string sign_attestation(AttestationType type, const Manifest& organ, const Digest& identity,
                             const JsonText& predicate, const SecretKey& key);

// Whether a bundle states what this header is about, of a type that is known or is not yet: else it
// is for verify_bundle. Never throws for what it holds.
bool is_attestation(std::string_view bundle);

// Throws as judge_bundle: untrusted (no key of ours, bad signature) or corrupt; and
// unsupported_version for a type of a newer organ. Of which organ it is, the caller compares.
Attestation verify_attestation(std::string_view bundle, const SignerTrust& trust,
                               std::string_view subject);

// What it claims, its signature not checked; `key` is the one that the bundle names. Throws corrupt
// and unsupported_version.
Attestation read_attestation(std::string_view bundle, std::string_view subject);

}  // namespace organ::format

#pragma GCC visibility pop
