// SPDX-License-Identifier: Apache-2.0
// What may be attached to a version: as a signature, as an attestation.
#pragma once

#include <string>

#include "format/signature/attestation.h"

namespace organ::registry {

// Throws what read_attestation throws, and invalid_argument unless the bundle states something of
// NAME:VERSION with this identity. Who signed it is not asked: it counts where a key is trusted.
void require_about(const std::string& bundle, const std::string& organ, const Digest& identity);

// Throws invalid_argument for an attestation: what came into the log as a signature stays one, and
// would never count for what it states.
void require_signature(const std::string& bundle);

}  // namespace organ::registry
