// SPDX-License-Identifier: Apache-2.0
#include "format/signature/signing.h"

#include <unistd.h>

#include <algorithm>
#include <map>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/path_status.h"
#include "format/organ/ignored_files.h"
#include "format/signature/internal/certificates.h"
#include "format/signature/internal/oms.h"

namespace organ::format {
namespace fs = std::filesystem;
namespace {

// The names and digests that a signature of this organ must cover, sorted by name.
std::map<std::string, Digest> covered_files(const OrganSource& organ) {
  std::map<std::string, Digest> files;
  files.emplace(kManifestFile, sha256(organ.manifest_text()));
  for (const FileEntry& file : organ.manifest().files) files.emplace(file.path, file.digest);
  return files;
}

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

// The statement, once the key signed it. That of model_signing 0.2 only on request.
SignedStatement judge_signature(const internal::Envelope& envelope, const PublicKey& key,
                                const SignerTrust& trust, std::string_view subject) {
  const std::string message = internal::pre_authentication_encoding(envelope.payload);
  const bool good = internal::verify_message(key, message, envelope.signature);
  const bool legacy = !good && internal::is_legacy_statement(envelope.payload);
  if (legacy && !trust.legacy) {
    throw Error(ErrorCode::untrusted,
                fmt::format("{}: made by model_signing 0.2, before the format was settled: it "
                            "counts on request only",
                            subject),
                "--legacy-signatures asks for it; better sign again with a current tool");
  }
  if (!good &&
      !(legacy && internal::verify_legacy_message(key, internal::legacy_encoding(envelope.payload),
                                                  envelope.signature))) {
    fail(ErrorCode::untrusted, "{}: the signature does not verify with key {}", subject,
         key.id().hex());
  }
  SignedStatement statement = legacy ? internal::parse_legacy_statement(envelope.payload, subject)
                                     : internal::parse_statement(envelope.payload, subject);
  statement.key = key.id();
  return statement;
}

// What its time stamps do not prove belongs to the reason of a refusal.
CertificateSigner judge_certificates(const internal::Envelope& envelope,
                                     const CertificateSet& chain, const CertificateTrust& trust,
                                     std::string_view subject) {
  std::vector<std::string> refused;
  const auto stamped =
      internal::proven_time(envelope.timestamps, envelope.signature, trust, refused);
  try {
    return internal::judge_chain(chain, trust, stamped, subject);
  } catch (const Error& error) {
    if (refused.empty()) throw;
    std::string message = error.message();
    for (const std::string& reason : refused) message += "; " + reason;
    throw Error(error.code(), message, error.hint());
  }
}

SignedStatement verify_certified(const internal::Envelope& envelope, const SignerTrust& trust,
                                 std::string_view subject) {
  const auto chain = CertificateSet::from_der(envelope.chain, subject);
  if (!trust.certificates) {
    throw Error(ErrorCode::untrusted,
                fmt::format("{}: signed with a certificate of {}, which no key can vouch for",
                            subject, internal::describe_leaf(chain, subject).describe()),
                "organ verify --ca-roots FILE names the roots you trust");
  }
  CertificateSigner signer = judge_certificates(envelope, chain, *trust.certificates, subject);
  SignedStatement statement =
      judge_signature(envelope, internal::leaf_key(chain, subject), trust, subject);
  statement.certificate = std::move(signer);
  return statement;
}

void require_clean(const OrganFolder& organ, const Work& work, FiniteCheck* finite) {
  for (const std::string& name : organ.extra_files()) {
    if (is_unfinished_signature(name)) continue;  // goes before the signature comes
    fail(ErrorCode::invalid_argument, "{}: {} is not part of the organ and would stay unsigned{}",
         quote(organ.describe()), quote(name), left_by(name));
  }
  ContentOptions options;
  options.flat_digests = true;
  const auto findings = finite == nullptr ? verify_contents(organ, options, work)
                                          : verify_contents(organ, options, work, *finite);
  if (findings.empty()) {
    if (finite != nullptr) require_finite(*finite, organ.describe());
    return;
  }
  throw Error(findings[0].code, findings[0].subject + ": " + findings[0].message,
              fmt::format("{} findings; a damaged organ is not signed", findings.size()));
}

// Of signings that were ended by force. Another one that is under way loses its file and says so.
void remove_unfinished(const fs::path& folder) {
  for (const std::string& name : list_folder(folder)) {
    if (is_unfinished_signature(name)) ::unlink((folder / name).c_str());
  }
}

}  // namespace

std::string sign_resources(std::string_view subject_name, std::vector<SignedResource> resources,
                           const SecretKey& key, const CertificateSet& chain) {
  check(!resources.empty(), "nothing to sign");
  const PublicKey public_key = key.public_key();
  if (!chain.empty()) internal::require_signer(chain, public_key);
  std::sort(resources.begin(), resources.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  const std::string payload = internal::write_statement(subject_name, resources);
  const std::string signature =
      internal::sign_message(key, internal::pre_authentication_encoding(payload));
  std::string bundle = chain.empty() ? internal::write_bundle(payload, signature, public_key.id())
                                     : internal::write_bundle(payload, signature, chain);
  // What we refuse to read we do not write.
  judge_signature(internal::parse_bundle(bundle, kSignatureFile), public_key, {}, kSignatureFile);
  return bundle;
}

void sign_folder(const OrganFolder& organ, const SecretKey& key, bool replace, const Work& work,
                 FiniteCheck* finite, const CertificateSet& chain) {
  const fs::path path = organ.folder() / kSignatureFile;
  if (!replace && is_taken(path)) {
    throw Error(ErrorCode::already_exists, fmt::format("{}: already exists", quote(path.string())),
                "--replace writes a new signature over it");
  }
  if (!chain.empty()) internal::require_signer(chain, key.public_key());  // before a long reading
  require_clean(organ, work, finite);
  std::vector<SignedResource> resources;
  for (const auto& [name, digest] : covered_files(organ)) resources.push_back({name, digest});
  std::string subject_name = real_path(organ.folder()).filename().string();
  remove_unfinished(organ.folder());
  write_file(path, sign_resources(subject_name, std::move(resources), key, chain),
             replace ? AtomicFile::Mode::replace : AtomicFile::Mode::create_new);
}

SignedStatement verify_bundle(std::string_view bundle, const std::vector<PublicKey>& keys,
                              std::string_view subject) {
  return judge_bundle(bundle, SignerTrust{keys}, subject);
}

SignedStatement judge_bundle(std::string_view bundle, const SignerTrust& trust,
                             std::string_view subject) {
  const internal::Envelope envelope = internal::parse_bundle(bundle, subject);
  if (!envelope.chain.empty()) return verify_certified(envelope, trust, subject);
  return judge_signature(envelope, key_for(envelope.hint, trust, subject), trust, subject);
}

SignedStatement read_bundle(std::string_view bundle, std::string_view subject) {
  const internal::Envelope envelope = internal::parse_bundle(bundle, subject);
  SignedStatement statement = internal::is_legacy_statement(envelope.payload)
                                  ? internal::parse_legacy_statement(envelope.payload, subject)
                                  : internal::parse_statement(envelope.payload, subject);
  statement.key = envelope.hint;
  if (!envelope.chain.empty()) {
    const auto chain = CertificateSet::from_der(envelope.chain, subject);
    statement.certificate = internal::describe_leaf(chain, subject);
  }
  return statement;
}

std::vector<Finding> compare_statement(const SignedStatement& statement, const OrganSource& organ) {
  std::vector<Finding> findings;
  const auto add = [&](std::string_view name, std::string message) {
    findings.push_back({ErrorCode::untrusted, escape_text(name), std::move(message)});
  };
  std::map<std::string, Digest> expected = covered_files(organ);
  for (const SignedResource& resource : statement.resources) {
    const auto found = expected.find(resource.name);
    if (found == expected.end()) {
      add(resource.name, "is signed but not part of the organ");
      continue;
    }
    if (found->second != resource.digest) {
      add(resource.name, fmt::format("has digest {} but {} was signed", found->second.hex(),
                                     resource.digest.hex()));
    }
    expected.erase(found);
  }
  for (const auto& [name, digest] : expected) {
    add(name, "is part of the organ but the signature does not cover it");
  }
  for (const std::string& name : organ.extra_files()) {
    add(name, "lies in the folder but is neither part of the organ nor signed" + left_by(name));
  }
  return findings;
}

}  // namespace organ::format
