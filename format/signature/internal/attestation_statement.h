// SPDX-License-Identifier: Apache-2.0
// The statement inside the bundle of an attestation.
#pragma once

#include <string>
#include <string_view>

#include "format/signature/attestation.h"

namespace organ::format::internal {

// Canonical JSON. Of `statement` type, organ, identity and predicate count.
std::string write_attestation(const Attestation& statement);

// Everything but Attestation::key. Throws corrupt, unsupported_version.
Attestation parse_attestation(std::string_view payload, std::string_view subject);

}  // namespace organ::format::internal
