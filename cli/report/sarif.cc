// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

#include "cli/report/internal/report_text.h"
#include "cli/report/report.h"
#include "format/base/digest.h"
#include "format/base/fail.h"
#include "format/base/file.h"

namespace organ::cli {
namespace {

using nlohmann::json;

// The file of an organ's folder that a subject begins with ("layer.01.safetensors: tensor 'x'").
std::string file_of(const ReportCase& one, const ReportFinding& finding) {
  const std::string name = finding.subject.substr(0, finding.subject.find(": "));
  const bool whole = name == one.artifact || name.find('.') == std::string::npos;
  return whole || !is_safe_file_name(name) ? std::string() : name;
}

std::string uri_of(const ReportCase& one, const ReportFinding& finding) {
  std::string base = relative_uri(one.artifact);
  const std::string file = file_of(one, finding);
  if (file.empty()) return base;
  return base == "." ? relative_uri(file) : base + "/" + relative_uri(file);
}

// Numbers what is equal up to the message, so that each finding keeps its print from run to run
// whatever its figures are.
class Fingerprints {
 public:
  std::string of(const ReportFinding& finding, const std::string& uri) {
    const std::string key = finding.rule + "\n" + uri + "\n" +
                            (finding.subject.empty() ? finding.message : finding.subject);
    return sha256(key + "\n" + std::to_string(seen_[key]++)).hex();
  }

 private:
  std::map<std::string, unsigned> seen_;
};

json result_of(const ReportCase& one, const ReportFinding& finding, std::size_t rule,
               Fingerprints& fingerprints) {
  const std::string uri = uri_of(one, finding);
  const json name = {{"fullyQualifiedName", shown_text(one.name)}, {"kind", "resource"}};
  const json location = {{"physicalLocation", {{"artifactLocation", {{"uri", uri}}}}},
                         {"logicalLocations", json::array({name})}};
  return {{"ruleId", finding.rule},
          {"ruleIndex", rule},
          {"level", to_string(finding.level)},
          {"message", {{"text", shown_text(one.name + ": " + sentence(finding))}}},
          {"locations", json::array({location})},
          {"partialFingerprints", {{"organFinding/v1", fingerprints.of(finding, uri)}}}};
}

// Every rule that a result names, sorted; their places are the results' ruleIndex.
std::vector<std::string> rules_of(const Report& report) {
  std::set<std::string> rules;
  for (const ReportCase& one : report.cases) {
    for (const ReportFinding& finding : one.findings) rules.insert(finding.rule);
  }
  return {rules.begin(), rules.end()};
}

// Without words of its own "check/hidden_size" is "check: hidden size".
std::string words_of(const Report& report, const std::string& rule) {
  const auto text = report.rules.find(rule);
  if (text != report.rules.end()) return text->second;
  std::string words = rule.substr(0, rule.find('/')) + ": " + rule.substr(rule.find('/') + 1);
  std::ranges::replace(words, '_', ' ');
  return words;
}

json rule_json(const Report& report, const std::string& rule) {
  return {{"id", rule}, {"shortDescription", {{"text", shown_text(words_of(report, rule))}}}};
}

}  // namespace

std::string to_sarif(const Report& report) {
  const std::vector<std::string> names = rules_of(report);
  json rules = json::array(), results = json::array();
  for (const std::string& name : names) rules.push_back(rule_json(report, name));
  Fingerprints fingerprints;
  for (const ReportCase& one : report.cases) {
    for (const ReportFinding& finding : one.findings) {
      const auto rule = std::ranges::lower_bound(names, finding.rule) - names.begin();
      results.push_back(result_of(one, finding, static_cast<std::size_t>(rule), fingerprints));
    }
  }
  const json driver = {{"name", "organ"}, {"version", ORGAN_VERSION}, {"rules", rules}};
  const json run = {{"tool", {{"driver", driver}}},
                    {"automationDetails", {{"id", "organ/" + report.command + "/"}}},
                    {"invocations", json::array({json{{"executionSuccessful", true}}})},
                    {"results", results}};
  const json log = {{"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
                    {"version", "2.1.0"},
                    {"runs", json::array({run})}};
  return log.dump(2);
}

}  // namespace organ::cli
