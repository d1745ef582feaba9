// SPDX-License-Identifier: Apache-2.0
#include "cli/output/verify.h"

#include <nlohmann/json.hpp>

#include "cli/frame/amounts.h"
#include "cli/frame/context.h"
#include "format/base/fail.h"

namespace organ::cli {
namespace {

using format::Finding;
using registry::VerifyReport;
using Item = VerifyReport::Item;

bool is_version(const Item& item) { return item.digest != Digest(); }

std::string sentence(const Finding& finding) {
  return fmt::format("{}: {}", escape_text(finding.subject), escape_text(finding.message, 2048));
}

// Everything that makes the run fail.
std::vector<Finding> failures(const Item& item) {
  std::vector<Finding> all = item.findings;
  all.insert(all.end(), item.trust.refusals.begin(), item.trust.refusals.end());
  return all;
}

// What does not make it fail and is to be known.
std::vector<Finding> warnings(const Item& item) {
  std::vector<Finding> all = item.not_finite;
  all.insert(all.end(), item.trust.warnings.begin(), item.trust.warnings.end());
  return all;
}

std::string xml_escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

nlohmann::json sarif_result(const Item& item, const Finding& finding, const char* level) {
  return {{"ruleId", to_string(finding.code)},
          {"level", level},
          {"message", {{"text", sentence(finding)}}},
          {"locations",
           {{{"logicalLocations",
              {{{"fullyQualifiedName", escape_text(item.subject)}, {"kind", "resource"}}}}}}}};
}

nlohmann::json sarif_rules() {
  nlohmann::json rules = nlohmann::json::array();
  constexpr std::pair<const char*, const char*> kRules[] = {
      {"corrupt", "stored bytes are not what was signed or published"},
      {"untrusted", "the policy's signatures are missing or not good"},
      {"unsupported_version", "a newer organ is needed to judge it"},
      {"not_found", "something that is referred to is missing"},
  };
  for (const auto& [id, text] : kRules) {
    rules.push_back({{"id", id}, {"shortDescription", {{"text", text}}}});
  }
  return rules;
}

}  // namespace

std::string to_text(const VerifyReport& report, bool failures_only) {
  std::string out;
  const auto line = [&](const char* label, const std::string& text) {
    out += fmt::format("  {:<16} {}\n", label, text);
  };
  for (const Item& item : report.items) {
    const bool good = failures(item).empty();
    if (good && failures_only && item.trust.warnings.empty()) continue;
    out += fmt::format("{} {}{}\n", good ? "ok    " : "FAILED", escape_text(item.subject),
                       is_version(item) ? "  " + item.digest.to_string() : "");
    for (const Finding& finding : item.findings) {
      line(std::string(to_string(finding.code)).c_str(), sentence(finding));
    }
    for (const Finding& refusal : item.trust.refusals) line("refused", sentence(refusal));
    for (const Finding& warning : warnings(item)) line("warning", sentence(warning));
    for (const std::string& text : item.trust.established) line("established", escape_text(text));
    for (const std::string& text : item.trust.not_established) {
      line("not established", escape_text(text));
    }
    for (const std::string& text : item.trust.policy) line("policy", escape_text(text));
  }
  for (const std::string& text : report.warnings) out += "warning  " + escape_text(text) + "\n";
  if (failures_only) return out.substr(0, out.empty() ? 0 : out.size() - 1);
  for (const std::string& note : report.notes) out += "note   " + escape_text(note) + "\n";
  out += fmt::format("{} organ{} looked at, {} read", report.versions,
                     report.versions == 1 ? "" : "s", size_text(report.bytes));
  return out;
}

nlohmann::json to_json(const VerifyReport& report) {
  nlohmann::json items = nlohmann::json::array();
  bool good = true;
  for (const Item& item : report.items) {
    good = good && failures(item).empty();
    nlohmann::json keys = nlohmann::json::array();
    for (const format::KeyId& key : item.trust.keys) keys.push_back(key.to_string());
    items.push_back(
        {{"subject", escape_text(item.subject)},
         {"digest", is_version(item) ? nlohmann::json(item.digest.to_string()) : nlohmann::json()},
         {"ok", failures(item).empty()},
         {"findings", to_json(item.findings)},
         {"refusals", to_json(item.trust.refusals)},
         {"warnings", to_json(warnings(item))},
         {"established", item.trust.established},
         {"not_established", item.trust.not_established},
         {"policy", item.trust.policy},
         {"keys", keys}});
  }
  return {{"ok", good},
          {"items", items},
          {"versions", report.versions},
          {"bytes", report.bytes},
          {"notes", report.notes},
          {"warnings", report.warnings}};
}

std::string to_junit(const VerifyReport& report) {
  std::size_t failed = 0;
  std::string cases;
  for (const Item& item : report.items) {
    cases += fmt::format("  <testcase classname=\"organ.verify\" name=\"{}\"",
                         xml_escape(escape_text(item.subject)));
    const std::vector<Finding> all = failures(item);
    if (all.empty()) {
      cases += "/>\n";
      continue;
    }
    ++failed;
    cases += ">\n";
    for (const Finding& finding : all) {
      cases += fmt::format("    <failure type=\"{}\" message=\"{}\"/>\n", to_string(finding.code),
                           xml_escape(sentence(finding)));
    }
    cases += "  </testcase>\n";
  }
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<testsuite name=\"organ verify\" tests=\"{}\" failures=\"{}\">\n{}</testsuite>",
      report.items.size(), failed, cases);
}

std::string to_sarif(const VerifyReport& report) {
  nlohmann::json results = nlohmann::json::array();
  for (const Item& item : report.items) {
    for (const Finding& finding : failures(item)) {
      results.push_back(sarif_result(item, finding, "error"));
    }
    for (const Finding& warning : warnings(item)) {
      results.push_back(sarif_result(item, warning, "warning"));
    }
  }
  const nlohmann::json log = {
      {"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
      {"version", "2.1.0"},
      {"runs",
       nlohmann::json::array(
           {{{"tool",
              {{"driver",
                {{"name", "organ"}, {"version", ORGAN_VERSION}, {"rules", sarif_rules()}}}}},
             {"results", results}}})}};
  return log.dump(2);
}

}  // namespace organ::cli
