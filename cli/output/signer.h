// SPDX-License-Identifier: Apache-2.0
// Who signed, and what, as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "format/signature/signing.h"

namespace organ::cli {

nlohmann::json to_json(const format::CertificateSigner& signer);
// What a bundle says; `certificate` is null where a bare key signed.
nlohmann::json to_json(const format::SignedStatement& statement);

}  // namespace organ::cli
