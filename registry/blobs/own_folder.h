// SPDX-License-Identifier: Apache-2.0
// Folders in which a registry moves and deletes: never through a link to somewhere else.
#pragma once

#include <filesystem>

namespace organ::registry {

// Whether the folder is there. Throws corrupt when something else has its name, a link too; io.
bool is_own_folder(const std::filesystem::path& folder);

}  // namespace organ::registry
