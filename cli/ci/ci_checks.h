// SPDX-License-Identifier: Apache-2.0
// Every check of one organ, each run whatever became of the others.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/ci/ci_policy.h"
#include "cli/frame/context.h"
#include "cli/organ/organ_argument.h"
#include "cli/report/report.h"
#include "format/base/digest.h"
#include "format/base/progress.h"
#include "registry/trust/policy.h"

namespace organ::cli {

struct CiRequest {
  std::string organ;  // as it was given: a reference or a folder
  CiPolicy policy;
  TrustOptions options;           // which organ it may be at all
  registry::TrustOverride trust;  // the same as loaded: whose signatures count
};

// What one check came to under its mode: with `warn` a failure has passed, its findings are
// warnings and `outcome.reason` says so; what is `required` and found nothing to judge has failed.
struct CiOutcome {
  // outcome.name is the check's, behind it ": " and the recipient; outcome.artifact the organ.
  CiCheck check = CiCheck::structure;
  CiMode mode = CiMode::off;
  ReportCase outcome;
  int exit_code = 0;  // of the class of what was found; 0 unless it failed
};

struct CiRun {
  std::string organ;             // name:version, or the folder
  std::optional<Digest> digest;  // of a published version
  // In the order of CiCheck, one of each kind at least: what is off is skipped, with a reason.
  std::vector<CiOutcome> checks;

  int exit_code() const;  // the worst
};

// One check for each kind, compatibility one for each recipient. Throws invalid_argument and
// conflict for what cannot be asked at all, io of a registry, cancelled; what is wrong with the
// organ, a missing one included, is an outcome.
// An organ that cannot be opened fails as `structure`, and all else is skipped, what is required
// too. What cannot be read fails every check of contents and trust that is not off.
CiRun run_ci(const Context& context, const CiRequest& request, const Work& work);

// Its rules are ci/CHECK, verify/CODE and check/RULE.
Report to_report(const CiRun& run);

}  // namespace organ::cli
