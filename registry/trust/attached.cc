// SPDX-License-Identifier: Apache-2.0
#include "registry/trust/attached.h"

#include "format/base/fail.h"

namespace organ::registry {

void require_about(const std::string& bundle, const std::string& organ, const Digest& identity) {
  const format::Attestation statement = format::read_attestation(bundle, "attestation");
  if (statement.identity == identity && statement.organ == organ) return;
  fail(ErrorCode::invalid_argument, "attestation: is about {} ({}), not about {} ({})",
       quote(statement.organ), statement.identity.to_string(), quote(organ), identity.to_string());
}

void require_signature(const std::string& bundle) {
  if (!format::is_attestation(bundle)) return;
  throw Error(ErrorCode::invalid_argument,
              "signature: states something of the organ and is no signature of it",
              "organ attest REF --attach FILE attaches it");
}

}  // namespace organ::registry
