// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "cli/report/internal/report_text.h"
#include "cli/report/report.h"
#include "format/base/fail.h"

namespace organ::cli {
namespace {

// U+FFFE and U+FFFF, which XML 1.0 forbids though they are valid UTF-8; the C0 controls that it
// forbids too, escape_text() has written as \xNN.
constexpr std::string_view kForbidden[] = {"\xEF\xBF\xBE", "\xEF\xBF\xBF"};

std::string xml_text(std::string_view text) {
  const std::string shown = shown_text(text);
  std::string out;
  for (std::size_t at = 0; at < shown.size(); ++at) {
    const std::string_view three = std::string_view(shown).substr(at, 3);
    if (std::ranges::find(kForbidden, three) != std::end(kForbidden)) {
      out += three == kForbidden[0] ? "\\u{fffe}" : "\\u{ffff}";
      at += 2;
      continue;
    }
    switch (shown[at]) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&apos;"; break;
      default: out += shown[at];
    }
  }
  return out;
}

std::vector<ReportFinding> of_level(const ReportCase& one, bool errors) {
  std::vector<ReportFinding> findings;
  for (const ReportFinding& finding : one.findings) {
    if ((finding.level == ReportLevel::error) == errors) findings.push_back(finding);
  }
  return findings;
}

// One <failure> a case: some readers show the first alone.
std::string failure_text(const ReportCase& one) {
  const std::vector<ReportFinding> errors = of_level(one, true);
  if (errors.empty()) return "      <failure type=\"failed\" message=\"failed\"/>\n";
  std::string lines;
  for (const ReportFinding& finding : errors) {
    lines += fmt::format("{}{}: {}", lines.empty() ? "" : "\n", xml_text(finding.rule),
                         xml_text(sentence(finding)));
  }
  return fmt::format("      <failure type=\"{}\" message=\"{}\">{}</failure>\n",
                     xml_text(errors.front().rule), xml_text(sentence(errors.front())), lines);
}

std::string case_text(const Report& report, const ReportCase& one) {
  std::string inside;
  if (one.outcome == Outcome::skipped) {
    inside += fmt::format("      <skipped message=\"{}\"/>\n", xml_text(one.reason));
  }
  if (one.outcome == Outcome::failed) inside += failure_text(one);
  std::string notes;
  for (const ReportFinding& finding : of_level(one, false)) {
    notes += fmt::format("{}{}: {}: {}", notes.empty() ? "" : "\n", to_string(finding.level),
                         xml_text(finding.rule), xml_text(sentence(finding)));
  }
  if (!notes.empty()) inside += fmt::format("      <system-out>{}</system-out>\n", notes);
  const std::string head = fmt::format("    <testcase classname=\"organ.{}\" name=\"{}\"",
                                       xml_text(report.command), xml_text(one.name));
  return inside.empty() ? head + "/>\n" : head + ">\n" + inside + "    </testcase>\n";
}

}  // namespace

std::string to_junit(const Report& report) {
  const auto count = [&](Outcome outcome) {
    return std::ranges::count(report.cases, outcome, &ReportCase::outcome);
  };
  std::string cases;
  for (const ReportCase& one : report.cases) cases += case_text(report, one);
  const std::string name = "organ " + xml_text(report.command);
  const std::string counts = fmt::format("tests=\"{}\" failures=\"{}\" errors=\"0\"",
                                         report.cases.size(), count(Outcome::failed));
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<testsuites name=\"{0}\" {1}>\n"
      "  <testsuite name=\"{0}\" {1} skipped=\"{2}\">\n{3}  </testsuite>\n</testsuites>",
      name, counts, count(Outcome::skipped), cases);
}

}  // namespace organ::cli
