// SPDX-License-Identifier: Apache-2.0
#include "train/probes/finding.h"

#include <utility>

#include <fmt/format.h>

namespace organ::train {

ProbeFinding make_finding(std::string name, double measured, double limit, std::string message) {
  // Written so that NaN fails.
  ProbeFinding result;
  result.name = std::move(name);
  result.passed = measured <= limit;
  result.measured = measured;
  result.limit = limit;
  result.message = std::move(message);
  return result;
}

std::string describe(const ProbeFinding& finding) {
  return fmt::format("self-test {} {}: {} ({:.3g}, limit {:.3g})", finding.name,
                     finding.passed ? "ok" : "FAILED", finding.message, finding.measured,
                     finding.limit);
}

void require_passed(const std::vector<ProbeFinding>& findings) {
  for (const auto& finding : findings) {
    if (!finding.passed) throw Error(finding.code, describe(finding), finding.hint);
  }
}

}  // namespace organ::train
