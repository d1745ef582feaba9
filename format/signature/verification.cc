// SPDX-License-Identifier: Apache-2.0
#include "format/signature/verification.h"

#include <algorithm>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/path_status.h"
#include "format/organ/ignored_files.h"

namespace organ::format {
namespace {

// A bundle that is well formed but none of our keys can judge: not a finding while another key's
// signature is good.
struct Unjudged {
  std::vector<Finding> findings;
};

void append(std::vector<Finding>& to, std::vector<Finding> from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

SignerTrust trust_of(const VerifyOptions& options) { return {options.keys, options.certificates}; }

void check_bundle(std::string_view bundle, const OrganSource& organ, const VerifyOptions& options,
                  Verification& result, Unjudged& unjudged) {
  try {
    if (options.keys.empty() && !options.certificates && !options.require_signature) {
      // Nothing is proved, but a bundle that contradicts the organ is damage all the same.
      append(result.findings, compare_statement(read_bundle(bundle, kSignatureFile), organ));
      return;
    }
    const SignedStatement statement = judge_bundle(bundle, trust_of(options), kSignatureFile);
    auto differences = compare_statement(statement, organ);
    if (differences.empty()) {
      result.signers.push_back(statement.key);
    } else {
      append(result.findings, std::move(differences));
    }
  } catch (const Error& error) {
    auto& list = error.code() == ErrorCode::untrusted ? unjudged.findings : result.findings;
    list.push_back(Finding::of(std::string(kSignatureFile), error));
  }
}

void check_signatures(const OrganSource& organ, const VerifyOptions& options,
                      Verification& result) {
  Unjudged unjudged;
  std::vector<std::string> bundles;
  try {
    bundles = organ.signature_bundles();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw;
    result.findings.push_back(Finding::of(std::string(kSignatureFile), error));
    result.bundles = 1;
    return;
  }
  result.bundles = bundles.size();
  for (const std::string& bundle : bundles) {
    check_bundle(bundle, organ, options, result, unjudged);
  }
  // One key counts once, however many bundles it made.
  std::sort(result.signers.begin(), result.signers.end());
  result.signers.erase(std::unique(result.signers.begin(), result.signers.end()),
                       result.signers.end());
  if (!result.signers.empty() || !options.require_signature) return;
  append(result.findings, std::move(unjudged.findings));
  if (bundles.empty()) {
    result.findings.push_back(
        {ErrorCode::untrusted, escape_text(organ.describe()), "is not signed"});
  }
}

// What the signature still says when organ.json cannot be read: whether these are its bytes.
void check_manifest_bytes(const std::filesystem::path& folder, const VerifyOptions& options,
                          Verification& result) {
  const std::filesystem::path signature = folder / kSignatureFile;
  if (!is_taken(signature)) return;
  result.bundles = 1;
  try {
    const std::string bundle = read_file(signature, kSignatureLimit, Symlinks::refuse);
    const std::string text = read_file(folder / kManifestFile, kManifestLimit, Symlinks::refuse);
    const SignedStatement statement = judge_bundle(bundle, trust_of(options), kSignatureFile);
    const Digest found = sha256(text);
    for (const SignedResource& resource : statement.resources) {
      if (resource.name != kManifestFile || resource.digest == found) continue;
      result.findings.push_back(
          {ErrorCode::untrusted, std::string(kManifestFile),
           fmt::format("has digest {} but {} was signed", found.hex(), resource.digest.hex())});
    }
  } catch (const Error& error) {
    result.findings.push_back(Finding::of(std::string(kSignatureFile), error));
  }
}

}  // namespace

Verification verify_organ(const OrganSource& organ, const VerifyOptions& options,
                          const Work& work) {
  Verification result;
  check_signatures(organ, options, result);
  for (const std::string& name : organ.extra_files()) {
    const auto known =
        std::find_if(result.findings.begin(), result.findings.end(),
                     [&](const Finding& f) { return f.subject == escape_text(name); });
    if (known == result.findings.end()) {
      result.findings.push_back(
          {ErrorCode::untrusted, escape_text(name),
           "lies in the folder but is not part of the organ" + left_by(name)});
    }
  }
  append(result.findings, verify_contents(organ, options.contents, work));
  return result;
}

Verification verify_organ_folder(const std::filesystem::path& folder, const VerifyOptions& options,
                                 const Work& work) {
  std::optional<OrganFolder> organ;
  Verification result;
  try {
    organ = OrganFolder::open(folder, OddEntries::keep);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::not_found || error.code() == ErrorCode::io) throw;
    if (!is_folder(folder)) throw;  // not damaged: not one
    result.findings.push_back(Finding::of(escape_text(folder.string()), error));
    check_manifest_bytes(folder, options, result);
    return result;
  }
  return verify_organ(*organ, options, work);
}

}  // namespace organ::format
