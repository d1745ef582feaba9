// SPDX-License-Identifier: Apache-2.0
#include "train/probes/finding.h"

#include <algorithm>
#include <string_view>
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

std::string describe_passed(const std::vector<ProbeFinding>& findings) {
  std::vector<std::string_view> names;
  std::string line = "self-tests passed";
  for (const auto& finding : findings) {
    if (std::find(names.begin(), names.end(), finding.name) != names.end()) continue;
    line += (names.empty() ? ": " : ", ") + finding.name;
    names.push_back(finding.name);
  }
  return line;
}

bool all_passed(const std::vector<ProbeFinding>& findings) {
  return std::all_of(findings.begin(), findings.end(),
                     [](const ProbeFinding& finding) { return finding.passed; });
}

void require_passed(const std::vector<ProbeFinding>& findings) {
  for (const auto& finding : findings) {
    if (!finding.passed) throw Error(finding.code, describe(finding), finding.hint);
  }
}

}  // namespace organ::train
