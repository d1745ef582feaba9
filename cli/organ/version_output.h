// SPDX-License-Identifier: Apache-2.0
// How commands write a published version.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "registry/catalog/version_info.h"

namespace organ::cli {

nlohmann::json to_json(const registry::VersionInfo& version);

// 12.3 MB; powers of 1000.
std::string size_text(std::uint64_t bytes);

}  // namespace organ::cli
