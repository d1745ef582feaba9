// SPDX-License-Identifier: Apache-2.0
// How commands write a published version.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "cli/frame/context.h"
#include "registry/catalog/version_info.h"

namespace organ::cli {

nlohmann::json to_json(const registry::VersionInfo& version);
// When and why its weights were taken away, or null.
nlohmann::json taken_down_json(const registry::VersionInfo& version);
// What takes its place, or null.
nlohmann::json superseded_json(const registry::VersionInfo& version);
// "signed, yanked, @stable": what a line about it ends with.
std::string remarks(const registry::VersionInfo& version);
// "by NAME:VERSION: REASON"; empty.
std::string superseded_text(const registry::VersionInfo& version);
// Says so to who is about to use it; nothing when it is not superseded.
void note_superseded(const Context& context, const registry::VersionInfo& version);

}  // namespace organ::cli
