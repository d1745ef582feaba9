// SPDX-License-Identifier: Apache-2.0
// The known families as data, for a program in another language that reads config.json as
// ArchitectureReader::from_config does: the page of `organ registry site`.
#pragma once

#include "format/base/json_text.h"

namespace organ::format {

// {"families": [in the order of known_families(), a stack each], "harmless": [[KEY, VALUE, WORDS]],
// "limits": {…}}: names of config keys, defaults, rules by their names in families.h, tensors as
// [NAME, [SIZE…], WHEN]. The order of families and of rules is the order in which they are tried.
JsonText family_data();

}  // namespace organ::format
