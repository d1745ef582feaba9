// SPDX-License-Identifier: Apache-2.0
// How `check` and `install` show a compatibility verdict.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "cli/frame/context.h"
#include "transplant/compatibility.h"

namespace organ::cli {

// The fields of schemas/check.v1.schema.json that describe the verdict.
nlohmann::json to_json(const transplant::CompatibilityReport& report);

// Refusals and warnings on stderr, notes there with -v.
void show(const Context& context, const transplant::CompatibilityReport& report);

}  // namespace organ::cli
