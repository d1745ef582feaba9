// SPDX-License-Identifier: Apache-2.0
#include "cli/output/compatibility.h"

#include <string_view>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "format/base/fail.h"

namespace organ::cli {

std::string verdict_text(const transplant::CompatibilityReport& report) {
  constexpr std::string_view kMeaning[] = {
      "identical architecture: installs as a plain Hugging Face folder",
      "same interface, other insides: no Hugging Face config can hold both",
      "another stream: needs a bridge and recovery",
      "refused",
  };
  const bool is_refused = report.level == transplant::Level::A && !report.installable();
  return fmt::format(
      "level {}: {}", to_string(report.level),
      is_refused ? "fits, and is refused" : kMeaning[static_cast<std::size_t>(report.level)]);
}

ReportCase to_case(const transplant::CompatibilityReport& report, const std::string& organ,
                   const std::string& recipient) {
  ReportCase one{.name = fmt::format("{} in {} at layer {}", organ, recipient, report.position),
                 .artifact = organ,
                 .outcome = report.installable() ? Outcome::passed : Outcome::failed};
  for (const transplant::CompatibilityFinding& finding : report.findings) {
    constexpr ReportLevel kLevels[] = {ReportLevel::error, ReportLevel::warning, ReportLevel::note};
    one.findings.push_back({"check/" + finding.rule,
                            kLevels[static_cast<std::size_t>(finding.severity)],
                            {},
                            finding.message});
  }
  return one;
}

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
