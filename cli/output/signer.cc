// SPDX-License-Identifier: Apache-2.0
#include "cli/output/signer.h"

#include <nlohmann/json.hpp>

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

}  // namespace organ::cli
