// SPDX-License-Identifier: Apache-2.0
// What may be attached to a version as an attestation.
#pragma once

#include <string>

#include "format/signature/attestation.h"

namespace organ::registry {

// Throws what read_attestation throws, and invalid_argument unless the bundle states something of
// the version with this identity. Who signed it is not asked: it counts where a key is trusted.
format::Attestation require_about(const std::string& bundle, const Digest& identity);

}  // namespace organ::registry
