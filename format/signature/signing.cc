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
  throw Error(
      findings[0].code, findings[0].subject + ": " + findings[0].message,
      fmt::format("{}; a damaged organ is not signed", counted(findings.size(), "finding")));
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
  std::sort(resources.begin(), resources.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  const std::string payload = internal::write_statement(subject_name, resources);
  internal::parse_statement(payload, kSignatureFile);  // what we refuse to read we do not write
  std::string bundle = internal::sign_payload(payload, key, chain);
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
  internal::SignedPayload opened = internal::open_bundle(bundle, trust, subject);
  SignedStatement statement = opened.legacy
                                  ? internal::parse_legacy_statement(opened.payload, subject)
                                  : internal::parse_statement(opened.payload, subject);
  statement.key = opened.key;
  statement.certificate = std::move(opened.certificate);
  statement.legacy = opened.legacy;
  statement.notes = std::move(opened.notes);
  return statement;
}

SignedStatement read_bundle(std::string_view bundle, std::string_view subject) {
  const internal::Envelope envelope = internal::parse_bundle(bundle, subject);
  const bool legacy = internal::is_legacy_statement(envelope.payload);
  SignedStatement statement = legacy ? internal::parse_legacy_statement(envelope.payload, subject)
                                     : internal::parse_statement(envelope.payload, subject);
  statement.legacy = legacy;
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
