// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/ci/ci_checks.h"
#include "cli/frame/long_work.h"
#include "cli/organ/commands.h"
#include "cli/organ/organ_argument.h"
#include "cli/report/report_options.h"
#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/file_system.h"

namespace organ::cli {
namespace {

struct CiArguments {
  std::string organ;
  std::string policy_file;
  std::vector<std::string> recipients;
  ReportOptions report;
  TrustOptions trust;
  unsigned threads = 0;
};

// Paths in the file are relative to it, wherever the command runs. The organ may not say itself
// what is demanded of it.
CiPolicy load_policy(const CiArguments& arguments) {
  if (arguments.policy_file.empty()) return {};
  const std::filesystem::path file = arguments.policy_file;
  const std::string folder = folder_of_argument(arguments.organ);
  if (!folder.empty()) require_outside(file, folder);
  CiPolicy policy = CiPolicy::parse(read_file(file, kCiPolicyLimit), file.string());
  for (CiRecipient& recipient : policy.recipients) {
    recipient.model = given_path((folder_of(file) / recipient.model).string()).string();
  }
  return policy;
}

CiRequest request_of(const CiArguments& arguments) {
  CiRequest request{.organ = arguments.organ,
                    .policy = load_policy(arguments),
                    .options = arguments.trust,
                    .trust = arguments.trust.load()};
  for (const std::string& model : arguments.recipients) {
    request.policy.recipients.push_back({model});
  }
  CiMode& signature = request.policy.mode(CiCheck::signature);
  if (request.trust.allow_unsigned) signature = std::min(signature, CiMode::warn);
  if (request.policy.recipients.size() > kMostRecipients) {
    fail(ErrorCode::invalid_argument, "{} recipients, at most {} can be asked at once",
         request.policy.recipients.size(), kMostRecipients);
  }
  return request;
}

// What a report must not be written into.
std::vector<std::string> files_read(const CiArguments& arguments, const CiRequest& request) {
  std::vector<std::string> read = {folder_of_argument(arguments.organ), arguments.policy_file};
  for (const CiRecipient& recipient : request.policy.recipients) read.push_back(recipient.model);
  return read;
}

nlohmann::json outcome_json(const CiOutcome& one) {
  nlohmann::json findings = nlohmann::json::array();
  for (const ReportFinding& finding : one.outcome.findings) {
    findings.push_back({{"rule", finding.rule},
                        {"level", to_string(finding.level)},
                        {"subject", escape_text(finding.subject)},
                        {"message", escape_text(finding.message, 4096)}});
  }
  return {{"check", to_string(one.check)},
          {"name", escape_text(one.outcome.name)},
          {"mode", to_string(one.mode)},
          {"outcome", to_string(one.outcome.outcome)},
          {"reason", one.outcome.reason.empty() ? nlohmann::json()
                                                : nlohmann::json(escape_text(one.outcome.reason))},
          {"findings", findings}};
}

nlohmann::json run_json(const CiRun& run, const std::string& policy_file) {
  nlohmann::json checks = nlohmann::json::array();
  for (const CiOutcome& one : run.checks) checks.push_back(outcome_json(one));
  return {{"ok", run.exit_code() == 0},
          {"exit_code", run.exit_code()},
          {"organ", escape_text(run.organ)},
          {"digest", run.digest ? nlohmann::json(run.digest->to_string()) : nlohmann::json()},
          {"policy_file",
           policy_file.empty() ? nlohmann::json() : nlohmann::json(escape_text(policy_file))},
          {"checks", checks}};
}

// Of what passed without a word nothing is said with --quiet.
void print_text(const Context& context, const CiRun& run) {
  std::size_t counts[3] = {};
  for (const CiOutcome& one : run.checks) {
    const ReportCase& found = one.outcome;
    ++counts[static_cast<std::size_t>(found.outcome)];
    const bool silent = found.outcome != Outcome::failed && found.findings.empty();
    if (context.quiet && silent) continue;
    const std::string_view word =
        found.outcome == Outcome::failed ? "FAILED" : to_string(found.outcome);
    context.print(fmt::format("{:<8} {}{}", word, escape_text(found.name),
                              found.reason.empty() ? "" : ": " + escape_text(found.reason)));
    for (const ReportFinding& finding : found.findings) {
      if (finding.level == ReportLevel::note && context.verbose == 0) continue;
      context.print(fmt::format("         {} [{}]: {}{}", to_string(finding.level),
                                escape_text(finding.rule),
                                finding.subject.empty() ? "" : escape_text(finding.subject) + ": ",
                                escape_text(finding.message, 4096)));
    }
  }
  context.confirm(fmt::format("{}: {} passed, {} failed, {} skipped", escape_text(run.organ),
                              counts[0], counts[1], counts[2]));
}

void run_command(Context& context, const CiArguments& arguments) {
  const CiRequest request = request_of(arguments);
  check_report_files(context, arguments.report, files_read(arguments, request));
  const CiRun run = watched(context, arguments.threads,
                            [&](const Work& work) { return run_ci(context, request, work); });
  context.exit_code = worse_exit_code(context.exit_code, run.exit_code());
  const Report report = to_report(run);
  if (print_report(context, arguments.report, report)) {
    // Nothing else goes to stdout.
  } else if (wants_json(context, arguments.report)) {
    context.print_json("ci", run_json(run, arguments.policy_file));
  } else {
    print_text(context, run);
  }
  write_reports(arguments.report, report);
}

}  // namespace

void add_ci(Command& app, Context& context) {
  Command command = app.add_command(
      context, "ci", "run every check of an organ at once and say yes or no, for a pipeline",
      "  organ ci legal/contracts:1.0.0 --recipient SmolLM2-135M --junit ci.xml\n"
      "  organ ci ./legal-1.0.0 --key legal.pub --policy-file ci.json \\\n"
      "      --sarif ci.sarif");
  auto arguments = std::make_shared<CiArguments>();  // lives as long as the parser's callback
  command.add_path("REF|DIR", arguments->organ, "a published version or an organ folder")
      .required();
  command
      .add_path("--policy-file", arguments->policy_file,
                "what is demanded, organ-ci.json (schemas/ci.md) [default: every check that needs "
                "nothing but the organ]")
      .value_name("FILE");
  command
      .add_path("--recipient", arguments->recipients,
                "a checkpoint folder that it must fit, where it comes from; again for more")
      .value_name("MODEL");
  add_report_options(command, arguments->report);
  add_trust_options(command, arguments->trust, "");
  add_threads_option(command, arguments->threads);
  command.on_run([&context, arguments] { run_command(context, *arguments); });
}

}  // namespace organ::cli
