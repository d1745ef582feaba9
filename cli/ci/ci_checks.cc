// SPDX-License-Identifier: Apache-2.0
#include "cli/ci/ci_checks.h"

#include <algorithm>
#include <utility>

#include "cli/ci/ci_rules.h"
#include "cli/organ/examine.h"
#include "cli/organ/organ_argument.h"
#include "cli/output/compatibility.h"
#include "cli/output/verify.h"
#include "format/base/fail.h"
#include "transplant/journal.h"

namespace organ::cli {
namespace {

using format::Finding;
using registry::VerifyReport;

constexpr int kFailure = 1;

ReportFinding of_verify(const Finding& finding, ReportLevel level, std::string_view rule = {}) {
  return {"verify/" + std::string(rule.empty() ? to_string(finding.code) : rule), level,
          finding.subject, finding.message};
}

ReportFinding of_error(CiCheck check, const std::string& subject, const Error& error) {
  const Finding finding = Finding::of(subject, error);
  return {"ci/" + std::string(to_string(check)), ReportLevel::error, finding.subject,
          finding.message};
}

// The checks of one run, in the order of CiCheck, put under their modes one by one.
class Checks {
 public:
  Checks(const CiRequest& request, CiRun& run) : request_(request), run_(run) {}

  // Whether the check is to be run at all.
  bool wants(CiCheck check) {
    if (request_.policy.mode(check) != CiMode::off) return true;
    add(check, {.outcome = Outcome::skipped, .reason = "is off"}, 0);
    return false;
  }

  void add(CiCheck check, ReportCase one, int exit_code) {
    one.name = name_of(check, one.name);
    one.artifact = run_.organ;
    CiOutcome outcome{check, request_.policy.mode(check), std::move(one), 0};
    ReportCase& found = outcome.outcome;
    if (outcome.mode == CiMode::required && found.outcome == Outcome::skipped && !stopped_) {
      found.outcome = Outcome::failed;
      found.findings.push_back({"ci/" + std::string(to_string(check)),
                                ReportLevel::error,
                                {},
                                "is required, but " + found.reason});
      exit_code = kFailure;
    }
    if (outcome.mode == CiMode::warn && found.outcome == Outcome::failed) soften(found);
    if (found.outcome == Outcome::failed) outcome.exit_code = exit_code == 0 ? kFailure : exit_code;
    run_.checks.push_back(std::move(outcome));
  }

  void add(CiCheck check, RuleVerdict verdict) {
    add(check,
        {.outcome = verdict.outcome,
         .reason = std::move(verdict.reason),
         .findings = std::move(verdict.findings)},
        kFailure);
  }

  void skip(CiCheck check, const std::string& reason) {
    if (wants(check)) add(check, {.outcome = Outcome::skipped, .reason = reason}, 0);
  }

  // What comes now cannot be asked, which is no failure of its own.
  void stop() { stopped_ = true; }

 private:
  static std::string name_of(CiCheck check, const std::string& of) {
    return std::string(to_string(check)) + (of.empty() ? "" : ": " + of);
  }

  static void soften(ReportCase& found) {
    found.outcome = Outcome::passed;
    found.reason = "failed, which is only to warn";
    for (ReportFinding& finding : found.findings) {
      if (finding.level == ReportLevel::error) finding.level = ReportLevel::warning;
    }
  }

  const CiRequest& request_;
  CiRun& run_;
  bool stopped_ = false;
};

int worst_of(const std::vector<Finding>& findings) {
  int worst = 0;
  for (const Finding& finding : findings) {
    worst = worse_exit_code(worst, exit_code(finding.code));
  }
  return worst;
}

ReportCase failed_by(const std::vector<Finding>& findings, std::string_view rule = {}) {
  ReportCase one{.outcome = findings.empty() ? Outcome::passed : Outcome::failed};
  for (const Finding& finding : findings) {
    one.findings.push_back(of_verify(finding, ReportLevel::error, rule));
  }
  return one;
}

void add_failures(CiCheck check, const std::vector<Finding>& findings, Checks& checks,
                  std::string_view rule = {}) {
  if (checks.wants(check)) checks.add(check, failed_by(findings, rule), worst_of(findings));
}

// Nothing signed covers them, so they are said even where no signature is asked for.
void judge_structure(const OrganArgument& organ, Checks& checks) {
  std::vector<Finding> findings;
  for (const std::string& name : organ.organ->extra_files()) {
    findings.push_back({ErrorCode::corrupt, name, "is not explained by organ.json"});
  }
  add_failures(CiCheck::structure, findings, checks);
}

void judge_trust(const VerifyReport::Item& item, std::vector<Finding> untrusted, Checks& checks) {
  const registry::TrustVerdict& trust = item.trust;
  if (checks.wants(CiCheck::signature)) {
    std::vector<Finding> none;
    const auto unread = std::ranges::find_if(trust.refusals, [](const Finding& refusal) {
      return refusal.subject == format::kSignatureFile && refusal.code != ErrorCode::untrusted;
    });
    if (unread != trust.refusals.end()) {
      none.push_back(*unread);
    } else if (trust.keys.empty()) {
      none.push_back({ErrorCode::untrusted, "model.sig", "no key that counts signed this organ"});
    }
    checks.add(CiCheck::signature, failed_by(none), worst_of(none));
  }
  if (!checks.wants(CiCheck::policy)) return;
  untrusted.insert(untrusted.end(), trust.refusals.begin(), trust.refusals.end());
  // A verdict names the rule that was applied; without one nobody was asked.
  if (trust.policy.empty() && untrusted.empty()) {
    untrusted.push_back({ErrorCode::untrusted, "model.sig", "the signatures could not be read"});
  }
  ReportCase one = failed_by(untrusted);
  for (const Finding& warning : trust.warnings) {
    one.findings.push_back(of_verify(warning, ReportLevel::warning));
  }
  checks.add(CiCheck::policy, std::move(one), worst_of(untrusted));
}

constexpr CiCheck kOfContents[] = {CiCheck::digests, CiCheck::finite, CiCheck::signature,
                                   CiCheck::policy};

// Each of them fails, whichever are asked for: what could not be read is never passed over.
void add_unread(const OrganArgument& organ, const Error& error, Checks& checks) {
  for (const CiCheck check : kOfContents) {
    if (checks.wants(check)) {
      checks.add(check,
                 {.outcome = Outcome::failed, .findings = {of_error(check, organ.text, error)}},
                 exit_code(error.code()));
    }
  }
}

// Those of `findings` that are of the organ's own files, and not of what is attached to it.
std::vector<Finding> of_files(const format::Manifest& manifest,
                              const std::vector<Finding>& findings) {
  std::vector<Finding> out;
  std::ranges::copy_if(findings, std::back_inserter(out), [&](const Finding& finding) {
    return std::ranges::find(manifest.files, finding.subject, &format::FileEntry::path) !=
           manifest.files.end();
  });
  return out;
}

void judge_contents(const CiRequest& request, const OrganArgument& organ, const Work& work,
                    Checks& checks) {
  const auto is_off = [&](CiCheck check) { return request.policy.mode(check) == CiMode::off; };
  if (std::ranges::all_of(kOfContents, is_off)) {  // nothing need be read
    for (const CiCheck check : kOfContents) checks.skip(check, {});
    return;
  }
  VerifyReport report;
  try {
    report = examine(organ, request.trust, work);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw;
    add_unread(organ, error, checks);
    return;
  }
  VerifyReport::Item& item = report.items.front();
  // Of a registry's rules, not of bytes.
  const auto split = std::stable_partition(
      item.findings.begin(), item.findings.end(),
      [](const Finding& finding) { return finding.code != ErrorCode::untrusted; });
  const std::vector<Finding> untrusted(split, item.findings.end());
  item.findings.erase(split, item.findings.end());
  add_failures(CiCheck::digests, item.findings, checks);
  std::vector<Finding> unread;
  std::ranges::copy_if(item.findings, std::back_inserter(unread),
                       [](const Finding& finding) { return finding.code == ErrorCode::io; });
  std::vector<Finding> numbers = of_files(organ.organ->manifest(), unread);
  if (!numbers.empty()) {  // as add_unread() has it
    numbers.insert(numbers.end(), item.not_finite.begin(), item.not_finite.end());
    add_failures(CiCheck::finite, numbers, checks);
  } else if (item.not_finite.empty() && !item.findings.empty()) {
    checks.skip(CiCheck::finite, "what was read is damaged");
  } else {
    add_failures(CiCheck::finite, item.not_finite, checks, "not_finite");
  }
  if (item.trust.policy.empty() && !unread.empty()) {  // nobody could be asked
    add_failures(CiCheck::signature, unread, checks);
    unread.insert(unread.end(), untrusted.begin(), untrusted.end());
    add_failures(CiCheck::policy, unread, checks);
  } else {
    judge_trust(item, untrusted, checks);
  }
}

void judge_rules(const CiRequest& request, const format::Manifest& manifest, Checks& checks) {
  constexpr std::pair<CiCheck, RuleVerdict (*)(const format::Manifest&, const CiPolicy&)> kRules[] =
      {{CiCheck::license, judge_license},
       {CiCheck::evaluation, judge_evaluations},
       {CiCheck::memorisation, judge_memorisation}};
  for (const auto& [check, judge] : kRules) {
    if (!checks.wants(check)) continue;
    try {
      checks.add(check, judge(manifest, request.policy));
    } catch (const Error& error) {
      checks.add(check,
                 {.outcome = Outcome::failed, .findings = {of_error(check, "organ.json", error)}},
                 exit_code(error.code()));
    }
  }
}

void judge_recipient(const CiRecipient& recipient, const OrganArgument& organ, const Work& work,
                     Checks& checks) {
  const format::Manifest& manifest = organ.organ->manifest();
  const std::uint64_t position = recipient.position.value_or(manifest.extraction.first_layer);
  try {
    transplant::require_settled(recipient.model);
    const auto model = format::Checkpoint::open(recipient.model, manifest.stack());
    ReportCase one = to_case(transplant::check_compatibility(manifest, model, position, work),
                             organ.text, recipient.model);
    one.name = fmt::format("{} at layer {}", recipient.model, position);
    checks.add(CiCheck::compatibility, std::move(one), exit_code(ErrorCode::incompatible));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw;
    checks.add(CiCheck::compatibility,
               {.name = recipient.model,
                .outcome = Outcome::failed,
                .findings = {of_error(CiCheck::compatibility, recipient.model, error)}},
               exit_code(error.code()));
  }
}

void judge_recipients(const CiRequest& request, const OrganArgument& organ, const Work& work,
                      Checks& checks) {
  if (request.policy.recipients.empty()) {
    checks.skip(CiCheck::compatibility, "no recipients are named");
  } else if (checks.wants(CiCheck::compatibility)) {
    for (const CiRecipient& recipient : request.policy.recipients) {
      judge_recipient(recipient, organ, work, checks);
    }
  }
}

// nullopt when there is no organ to look at: everything but the structure is skipped.
std::optional<OrganArgument> open_or_report(const Context& context, const CiRequest& request,
                                            const Work& work, Checks& checks) {
  try {
    return open_organ(context, request.organ, request.options, work);
  } catch (const Error& error) {
    const ErrorCode code = error.code();
    if (code != ErrorCode::corrupt && code != ErrorCode::not_found &&
        code != ErrorCode::untrusted && code != ErrorCode::incompatible &&
        code != ErrorCode::unsupported_version && code != ErrorCode::io) {
      throw;
    }
    checks.add(CiCheck::structure,
               {.outcome = Outcome::failed,
                .findings = {of_error(CiCheck::structure, request.organ, error)}},
               exit_code(code));
    checks.stop();
    for (std::size_t i = 1; i < kCiChecks; ++i) {
      checks.skip(static_cast<CiCheck>(i), "the organ could not be opened");
    }
    return std::nullopt;
  }
}

}  // namespace

int CiRun::exit_code() const {
  int worst = 0;
  for (const CiOutcome& one : checks) worst = worse_exit_code(worst, one.exit_code);
  return worst;
}

CiRun run_ci(const Context& context, const CiRequest& request, const Work& work) {
  CiRun run{.organ = request.organ, .digest = {}, .checks = {}};
  Checks checks(request, run);
  const auto organ = open_or_report(context, request, work, checks);
  if (!organ) return run;
  run.organ = organ->text;
  if (organ->version) run.digest = organ->version->digest;
  judge_structure(*organ, checks);
  judge_contents(request, *organ, work, checks);
  judge_rules(request, organ->organ->manifest(), checks);
  judge_recipients(request, *organ, work, checks);
  return run;
}

Report to_report(const CiRun& run) {
  Report report{.command = "ci", .rules = verify_rules()};
  report.rules.insert(
      {{"ci/structure",
        "the organ cannot be opened, is not the one asked for, or holds what nobody explains"},
       {"ci/digests", "the organ's bytes could not be read"},
       {"ci/license", "its licence is none of those allowed"},
       {"ci/evaluation", "a recorded figure is out of bounds, or is missing"},
       {"ci/memorisation", "a figure is of data that training saw"},
       {"ci/compatibility", "the recipient could not be asked"}});
  for (const CiOutcome& one : run.checks) report.cases.push_back(one.outcome);
  return report;
}

}  // namespace organ::cli
