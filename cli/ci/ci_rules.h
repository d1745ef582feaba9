// SPDX-License-Identifier: Apache-2.0
// What organ.json alone answers. Values in, values out; nothing is read.
#pragma once

#include <string>
#include <vector>

#include "cli/ci/ci_policy.h"
#include "cli/report/report.h"
#include "format/manifest/manifest.h"

namespace organ::cli {

struct RuleVerdict {
  Outcome outcome = Outcome::passed;
  std::string reason = {};  // why it was skipped
  std::vector<ReportFinding> findings = {};
};

// The rules of their findings are ci/license, ci/evaluation and ci/memorisation.
RuleVerdict judge_license(const format::Manifest& organ, const CiPolicy& policy);
RuleVerdict judge_evaluations(const format::Manifest& organ, const CiPolicy& policy);
RuleVerdict judge_memorisation(const format::Manifest& organ, const CiPolicy& policy);

}  // namespace organ::cli
