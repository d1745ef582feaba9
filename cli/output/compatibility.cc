// SPDX-License-Identifier: Apache-2.0
#include "cli/output/compatibility.h"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace organ::cli {

nlohmann::json to_json(const transplant::CompatibilityReport& report) {
  nlohmann::json findings = nlohmann::json::array();
  for (const transplant::CompatibilityFinding& finding : report.findings) {
    findings.push_back({{"rule", finding.rule},
                        {"severity", to_string(finding.severity)},
                        {"expected", finding.expected},
                        {"actual", finding.actual},
                        {"message", finding.message},
                        {"hint", finding.hint}});
  }
  return {{"level", to_string(report.level)},
          {"installable", report.installable()},
          {"position", report.position},
          {"layer_count", report.layer_count},
          {"fitting_positions", report.fitting_positions},
          {"findings", findings}};
}

void show(const Context& context, const transplant::CompatibilityReport& report) {
  for (const transplant::CompatibilityFinding& finding : report.findings) {
    const std::string line =
        fmt::format("{} [{}]: {}{}", to_string(finding.severity), finding.rule, finding.message,
                    finding.hint.empty() ? std::string() : "\n  hint: " + finding.hint);
    if (finding.severity == transplant::Severity::note)
      context.detail(line);
    else
      context.insist(line);
  }
}

}  // namespace organ::cli
