// SPDX-License-Identifier: Apache-2.0
// A verification report for people and for CI: text, JSON, JUnit XML, SARIF 2.1.0.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "registry/registry.h"

namespace organ::cli {

// `failures_only`: nothing of what is good without a warning, no last line; empty when all is.
std::string to_text(const registry::VerifyReport& report, bool failures_only);
nlohmann::json to_json(const registry::VerifyReport& report);
std::string to_junit(const registry::VerifyReport& report);
std::string to_sarif(const registry::VerifyReport& report);

}  // namespace organ::cli
