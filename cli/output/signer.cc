// SPDX-License-Identifier: Apache-2.0
#include "cli/output/signer.h"

#include <functional>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/manifest/manifest.h"

namespace organ::cli {

nlohmann::json to_json(const format::CertificateSigner& signer) {
  return {{"subject", signer.subject},
          {"names", signer.names},
          {"sha256", signer.fingerprint.hex()},
          {"not_before", format::time_text(signer.not_before)},
          {"not_after", format::time_text(signer.not_after)},
          {"stamped",
           signer.stamped ? nlohmann::json(format::time_text(*signer.stamped)) : nlohmann::json()},
          {"stamped_by", signer.stamped ? nlohmann::json(signer.stamped_by) : nlohmann::json()}};
}

nlohmann::json to_json(const format::SignedStatement& statement) {
  nlohmann::json resources = nlohmann::json::array();
  for (const auto& resource : statement.resources) {
    resources.push_back({{"name", resource.name}, {"sha256", resource.digest.hex()}});
  }
  return {
      {"subject", statement.subject_name},
      {"root", statement.root.hex()},
      {"key_id", statement.key.hex()},
      {"certificate", statement.certificate ? to_json(*statement.certificate) : nlohmann::json()},
      {"legacy", statement.legacy},
      {"resources", std::move(resources)},
      {"ignore_paths", statement.ignore_paths}};
}

ClaimedSignatures claimed_signatures(const format::OrganSource& organ) {
  ClaimedSignatures claimed;
  const auto reading = [&](const std::function<void()>& action) {
    try {
      action();
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled || error.code() == ErrorCode::internal) throw;
      claimed.unreadable.push_back(format::Finding::of(std::string(format::kSignatureFile), error));
    }
  };
  std::vector<std::string> bundles;
  reading([&] { bundles = organ.readable_signatures(claimed.unreadable); });
  for (const std::string& bundle : bundles) {
    reading(
        [&] { claimed.statements.push_back(format::read_bundle(bundle, format::kSignatureFile)); });
  }
  return claimed;
}

std::vector<std::string> signer_lines(const ClaimedSignatures& claimed) {
  std::vector<std::string> lines;
  for (const format::SignedStatement& statement : claimed.statements) {
    const auto& signer = statement.certificate;
    lines.push_back((signer ? signer->describe() : statement.key.hex()) + " (not checked)");
  }
  for (const format::Finding& one : claimed.unreadable) {
    lines.push_back("a signature that cannot be read: " + escape_text(one.message, 2048));
  }
  if (lines.empty()) lines.emplace_back("nobody");
  return lines;
}

}  // namespace organ::cli
