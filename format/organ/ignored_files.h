// SPDX-License-Identifier: Apache-2.0
// Names at the top of a folder that OMS verifiers leave out unasked: model.sig and what git keeps.
#pragma once

#include <string>
#include <string_view>

#include "format/manifest/manifest.h"

namespace organ::format {

inline constexpr std::string_view kIgnoredFiles[] = {".git", ".gitattributes", ".github",
                                                     ".gitignore", kSignatureFile};

bool is_ignored_by_default(std::string_view name);

// Who leaves something of this name in a folder, and the way out, as the end of a sentence: "; hf
// download leaves it, remove it". "" for names that no tool is known to leave.
std::string left_by(std::string_view name);
// Whether `name` is that of an unfinished model.sig (AtomicFile's temporary name), which a signing
// that was ended by force left. Other verifiers refuse it, so ours do; the next signing removes it.
bool is_unfinished_signature(std::string_view name);

}  // namespace organ::format
