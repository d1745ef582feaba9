// SPDX-License-Identifier: Apache-2.0
// Whose signature of a bundle counts: that of a given key, or of one that a given root certifies.
#include <algorithm>

#include "format/base/fail.h"
#include "format/signature/internal/certificates.h"
#include "format/signature/internal/oms.h"

namespace organ::format::internal {
namespace {

// A bundle must not name its own key: only a key of ours with that id may verify it.
const PublicKey& key_for(const KeyId& hint, const SignerTrust& trust, std::string_view subject) {
  const auto found = std::find_if(trust.keys.begin(), trust.keys.end(),
                                  [&](const PublicKey& key) { return key.id() == hint; });
  if (found != trust.keys.end()) return *found;
  const std::size_t count = trust.keys.size();
  throw Error(ErrorCode::untrusted,
              count == 0
                  ? fmt::format("{}: signed by key {}, and no key was given", subject, hint.hex())
                  : fmt::format("{}: signed by key {}, which is none of the {} given", subject,
                                hint.hex(), count),
              "--key PUB names the public key you trust");
}

// What the key signed. As model_signing 0.2 signed it only on request.
SignedPayload judge_signature(Envelope envelope, const PublicKey& key, bool allow_legacy,
                              std::string_view subject) {
  const std::string message = pre_authentication_encoding(envelope.payload);
  const bool good = verify_message(key, message, envelope.signature);
  const bool legacy = !good && is_legacy_statement(envelope.payload);
  if (legacy && !allow_legacy) {
    throw Error(ErrorCode::untrusted,
                fmt::format("{}: calls itself one of model_signing 0.2, from before the format was "
                            "settled: those count on request only",
                            subject),
                "organ verify --legacy-signatures asks for it; better sign again with a current "
                "tool");
  }
  if (!good && !(legacy && verify_legacy_message(key, legacy_encoding(envelope.payload),
                                                 envelope.signature))) {
    fail(ErrorCode::untrusted, "{}: the signature does not verify with key {}", subject,
         key.id().hex());
  }
  return {.payload = std::move(envelope.payload), .key = key.id(), .legacy = legacy};
}

// What its time stamps do not prove belongs to the reason of a refusal.
CertificateSigner judge_certificates(const Envelope& envelope, const CertificateSet& chain,
                                     const CertificateTrust& trust, std::vector<std::string>& notes,
                                     std::string_view subject) {
  const auto stamped = proven_times(envelope.timestamps, envelope.signature, trust, notes);
  try {
    return judge_chain(chain, trust, stamped, notes, subject);
  } catch (const Error& error) {
    if (notes.empty()) throw;
    std::string message = error.message();
    for (const std::string& note : notes) message += "; " + note;
    throw Error(error.code(), message, error.hint());
  }
}

SignedPayload open_certified(Envelope envelope, const SignerTrust& trust,
                             std::string_view subject) {
  const auto chain = CertificateSet::from_der(envelope.chain, subject);
  if (!trust.certificates) {
    throw Error(ErrorCode::untrusted,
                fmt::format("{}: signed with a certificate of {}, which no key can vouch for",
                            subject, describe_leaf(chain, subject).describe()),
                "organ verify --ca-roots FILE names the roots you trust");
  }
  std::vector<std::string> notes;
  CertificateSigner signer =
      judge_certificates(envelope, chain, *trust.certificates, notes, subject);
  SignedPayload opened =
      judge_signature(std::move(envelope), leaf_key(chain, subject), trust.legacy, subject);
  opened.certificate = std::move(signer);
  opened.notes = std::move(notes);
  return opened;
}

}  // namespace

std::string sign_payload(std::string_view payload, const SecretKey& key,
                         const CertificateSet& chain) {
  const PublicKey public_key = key.public_key();
  if (!chain.empty()) require_signer(chain, public_key);
  const std::string signature = sign_message(key, pre_authentication_encoding(payload));
  std::string bundle = chain.empty() ? write_bundle(payload, signature, public_key.id())
                                     : write_bundle(payload, signature, chain);
  // What we refuse to read we do not write.
  judge_signature(parse_bundle(bundle, kSignatureFile), public_key, false, kSignatureFile);
  return bundle;
}

SignedPayload open_bundle(std::string_view bundle, const SignerTrust& trust,
                          std::string_view subject) {
  Envelope envelope = parse_bundle(bundle, subject);
  if (!envelope.chain.empty()) return open_certified(std::move(envelope), trust, subject);
  const PublicKey& key = key_for(envelope.hint, trust, subject);
  return judge_signature(std::move(envelope), key, trust.legacy, subject);
}

}  // namespace organ::format::internal
