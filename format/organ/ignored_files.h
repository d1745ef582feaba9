// SPDX-License-Identifier: Apache-2.0
// Names at the top of a folder that OMS verifiers leave out unasked: model.sig and what git keeps.
#pragma once

#include <string_view>

#include "format/manifest/manifest.h"

namespace organ::format {

inline constexpr std::string_view kIgnoredFiles[] = {".git", ".gitattributes", ".github",
                                                     ".gitignore", kSignatureFile};

bool is_ignored_by_default(std::string_view name);

}  // namespace organ::format
