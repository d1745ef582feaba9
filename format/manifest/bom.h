// SPDX-License-Identifier: Apache-2.0
// An organ as a machine-learning bill of materials: CycloneDX 1.6 (ECMA-424), JSON. What organ.json
// records and nothing else: no serial number, no signature, no time but its own.
#pragma once

#include <string>

#include "format/base/digest.h"
#include "format/manifest/manifest.h"

#pragma GCC visibility push(default)

namespace organ::format {

// The document, indented. The organ is its subject, a machine-learning-model with its files,
// hashes, licence and figures; components are the donor, from which it descends, and the data sets
// of training and figures, by digest. `identity`: the digest of its OCI manifest. The time is
// when it was made: equal organs give equal bytes, in every registry and as a folder.
std::string ml_bom(const Manifest& organ, const Digest& identity);

}  // namespace organ::format

#pragma GCC visibility pop
