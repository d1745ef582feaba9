// SPDX-License-Identifier: Apache-2.0
// Who signed, and what, as JSON; who says so of an organ, unchecked.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "format/organ/organ_source.h"
#include "format/signature/signing.h"

namespace organ::cli {

nlohmann::json to_json(const format::CertificateSigner& signer);
// What a bundle says; `certificate` is null where a bare key signed.
nlohmann::json to_json(const format::SignedStatement& statement);

// What the bundles that come with an organ claim, and why others cannot be read.
struct ClaimedSignatures {
  std::vector<format::SignedStatement> statements;
  std::vector<format::Finding> unreadable;
};
ClaimedSignatures claimed_signatures(const format::OrganSource& organ);
// One line for each, or that there is none.
std::vector<std::string> signer_lines(const ClaimedSignatures& claimed);

}  // namespace organ::cli
