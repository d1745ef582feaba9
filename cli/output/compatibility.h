// SPDX-License-Identifier: Apache-2.0
// How `check`, `ci` and `install` show a compatibility verdict.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "cli/frame/context.h"
#include "cli/report/report.h"
#include "transplant/compatibility.h"

namespace organ::cli {

// The fields of schemas/check.v1.schema.json that describe the verdict.
nlohmann::json to_json(const transplant::CompatibilityReport& report);

// "level C: another stream: needs a bridge and recovery".
std::string verdict_text(const transplant::CompatibilityReport& report);

// The verdict as a case of a Report: refusals are errors, the rules check/RULE.
ReportCase to_case(const transplant::CompatibilityReport& report, const std::string& organ,
                   const std::string& recipient);

// Refusals and warnings on stderr, notes there with -v.
void show(const Context& context, const transplant::CompatibilityReport& report);

}  // namespace organ::cli
