// SPDX-License-Identifier: Apache-2.0
// A verification for people, programs and CI: text, JSON, a Report.
#pragma once

#include <map>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "cli/report/report.h"
#include "registry/registry.h"

namespace organ::cli {

// `failures_only`: nothing of what is good without a warning, no last line; empty when all is.
// to_text escapes the texts of the report; the writers of a Report escape its own. A failure is
// damage or a refusal; a tensor that is not finite is a warning, as what the policy warns of.
std::string to_text(const registry::VerifyReport& report, bool failures_only);
// The same, and whether all is good, the keys and certificates that signed, and since when bytes
// were taken for read.
nlohmann::json to_json(const registry::VerifyReport& report);

// One case for each version and each part of the registry; the rules are verify/CODE.
Report to_report(const registry::VerifyReport& report);
ReportCase to_case(const registry::VerifyReport::Item& item);
// What each rule verify/CODE means, for people; lives as long as the program.
const std::map<std::string, std::string>& verify_rules();

}  // namespace organ::cli
