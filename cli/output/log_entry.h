// SPDX-License-Identifier: Apache-2.0
// How commands write an entry of a registry's log.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "registry/registry.h"

namespace organ::cli {

// What the log has of it, and its index.
nlohmann::json to_json(const registry::LogRecord& record);
// "     7  2026-01-31T12:00:00Z  yank       legal/contracts:1.0.0  a draft"
std::string log_line(const registry::LogRecord& record);

}  // namespace organ::cli
