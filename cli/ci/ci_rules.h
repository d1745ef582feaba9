// SPDX-License-Identifier: Apache-2.0
// What organ.json alone answers. Values in, values out; nothing is read.
#pragma once

#include <string>
#include <vector>

#include "cli/ci/ci_policy.h"
#include "cli/report/report.h"
#include "format/manifest/manifest.h"

namespace organ::cli {

// A value: what a rule came to. Failed exactly where there are findings, all of them errors.
struct RuleVerdict {
  Outcome outcome = Outcome::passed;
  // One clause for people, set only of a skipped one.
  std::string reason = {};  // why it was skipped
  std::vector<ReportFinding> findings = {};
};

// The rules of their findings are ci/license, ci/evaluation and ci/memorisation.
// Skipped where nothing is asked for: no licences, no bounds. A licence counts in any case of its
// letters, as SPDX has it, and one that is not recorded fails. Each bound must be met by every
// figure that it chooses, and by one at least.
//
// Memorisation fails for a recorded overlap above policy.max_overlap, for a figure on data that was
// trained on, and, unless allow_chosen_weights, for one by which the weights were chosen. Skipped
// where organ.json has neither figures nor overlap, or nothing failed and it was trained without
// recording an overlap.
RuleVerdict judge_license(const format::Manifest& organ, const CiPolicy& policy);
RuleVerdict judge_evaluations(const format::Manifest& organ, const CiPolicy& policy);
RuleVerdict judge_memorisation(const format::Manifest& organ, const CiPolicy& policy);

}  // namespace organ::cli
