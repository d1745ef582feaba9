// SPDX-License-Identifier: Apache-2.0
#include "cli/output/verify.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "cli/frame/amounts.h"
#include "cli/frame/context.h"
#include "cli/output/attestations.h"
#include "cli/output/signer.h"
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

void add(std::vector<ReportFinding>& out, const std::vector<Finding>& findings, ReportLevel level,
         std::string_view rule = {}) {
  for (const Finding& finding : findings) {
    out.push_back({"verify/" + std::string(rule.empty() ? to_string(finding.code) : rule), level,
                   finding.subject, finding.message});
  }
}

}  // namespace

std::string to_text(const VerifyReport& report, bool failures_only) {
  std::string out;
  const auto line = [&](const char* label, const std::string& text) {
    out += fmt::format("  {:<16} {}\n", label, text);
  };
  for (const Item& item : report.items) {
    const bool good = failures(item).empty();
    if (good && failures_only && warnings(item).empty()) continue;
    out += fmt::format("{} {}{}\n", good ? "ok    " : "FAILED", escape_text(item.subject),
                       is_version(item) ? "  " + item.digest.to_string() : "");
    for (const Finding& finding : item.findings) {
      line(std::string(to_string(finding.code)).c_str(), sentence(finding));
    }
    for (const Finding& refusal : item.trust.refusals) {  // nobody refused what nobody could read
      line(refusal.code == ErrorCode::io ? "unread" : "refused", sentence(refusal));
    }
    for (const Finding& warning : warnings(item)) line("warning", sentence(warning));
    for (const std::string& text : item.trust.established) line("established", escape_text(text));
    for (const std::string& text : item.trust.not_established) {
      line("not established", escape_text(text));
    }
    for (const std::string& text : item.trust.policy) line("policy", escape_text(text));
    for (const std::string& text : attestation_lines(item.trust.attestations)) {
      line("attestation", text);
    }
  }
  for (const std::string& text : report.warnings) out += "warning  " + escape_text(text) + "\n";
  if (failures_only) return out.substr(0, out.empty() ? 0 : out.size() - 1);
  for (const std::string& note : report.notes) out += "note   " + escape_text(note) + "\n";
  out += fmt::format("{} looked at, {} read", counted(report.versions, "organ"),
                     size_text(report.bytes));
  if (report.bytes_before > 0) {
    out += fmt::format(", {} taken for read", size_text(report.bytes_before));
  }
  return out;
}

nlohmann::json to_json(const VerifyReport& report) {
  nlohmann::json items = nlohmann::json::array();
  bool good = true;
  for (const Item& item : report.items) {
    good = good && failures(item).empty();
    nlohmann::json keys = nlohmann::json::array();
    for (const format::KeyId& key : item.trust.keys) keys.push_back(key.to_string());
    nlohmann::json certificates = nlohmann::json::array();
    for (const auto& signer : item.trust.certificates) certificates.push_back(to_json(signer));
    items.push_back(
        {{"subject", escape_text(item.subject)},
         {"digest", is_version(item) ? nlohmann::json(item.digest.to_string()) : nlohmann::json()},
         {"ok", failures(item).empty()},
         {"findings", to_json(item.findings)},
         {"refusals", to_json(item.trust.refusals)},
         {"warnings", to_json(warnings(item))},
         {"established", item.trust.established},
         {"read_since", item.read_since ? nlohmann::json(*item.read_since) : nlohmann::json()},
         {"not_established", item.trust.not_established},
         {"policy", item.trust.policy},
         {"keys", keys},
         {"certificates", certificates},
         {"attestations", to_json(item.trust.attestations)}});
  }
  return {{"ok", good},
          {"items", items},
          {"versions", report.versions},
          {"bytes", report.bytes},
          {"bytes_before", report.bytes_before},
          {"notes", report.notes},
          {"warnings", report.warnings}};
}

const std::map<std::string, std::string>& verify_rules() {
  static const std::map<std::string, std::string> rules = {
      {"verify/corrupt", "stored bytes are not what was signed or published"},
      {"verify/io", "something could not be read, so nobody knows what it is"},
      {"verify/not_finite", "a tensor holds NaN or infinity"},
      {"verify/not_found", "something that is referred to is missing"},
      {"verify/read_before", "objects that were read earlier were not read again"},
      {"verify/store", "something about the registry's folder that is no damage yet"},
      {"verify/unsupported_version", "a newer organ is needed to judge it"},
      {"verify/untrusted", "the policy's signatures are missing or not good"},
  };
  return rules;
}

ReportCase to_case(const Item& item) {
  ReportCase one{.name = item.subject, .artifact = item.subject};
  if (!failures(item).empty()) one.outcome = Outcome::failed;
  add(one.findings, item.findings, ReportLevel::error);
  add(one.findings, item.trust.refusals, ReportLevel::error);
  add(one.findings, item.not_finite, ReportLevel::warning, "not_finite");
  add(one.findings, item.trust.warnings, ReportLevel::warning);
  if (item.read_since) {
    one.findings.push_back({"verify/read_before",
                            ReportLevel::note,
                            {},
                            "some of its bytes were not read now: they were at " +
                                *item.read_since +
                                " or later, and not written since, as the file system says"});
  }
  return one;
}

Report to_report(const VerifyReport& report) {
  Report out{.command = "verify", .rules = verify_rules()};
  for (const Item& item : report.items) out.cases.push_back(to_case(item));
  if (report.warnings.empty()) return out;
  ReportCase store{.name = "registry", .artifact = "."};
  for (const std::string& text : report.warnings) {
    store.findings.push_back({"verify/store", ReportLevel::warning, {}, text});
  }
  out.cases.push_back(std::move(store));
  return out;
}

}  // namespace organ::cli
