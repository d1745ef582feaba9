// SPDX-License-Identifier: Apache-2.0
// How commands write a published version.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "registry/catalog/version_info.h"

namespace organ::cli {

nlohmann::json to_json(const registry::VersionInfo& version);
// "signed, yanked, @stable": what a line about it ends with.
std::string remarks(const registry::VersionInfo& version);

}  // namespace organ::cli
