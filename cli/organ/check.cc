// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include <nlohmann/json.hpp>

#include "cli/frame/long_work.h"
#include "cli/organ/commands.h"
#include "cli/organ/organ_argument.h"
#include "cli/output/compatibility.h"
#include "cli/output/version.h"
#include "cli/report/report_options.h"
#include "format/base/fail.h"
#include "transplant/journal.h"

namespace organ::cli {
namespace {

struct CheckArguments {
  Placement placement;
  std::string recipient;
  ReportOptions report;
  unsigned threads = 0;
};

// Of a version that was withdrawn no recipient matters.
void add_withdrawal(transplant::CompatibilityReport& report, const registry::VersionInfo& version) {
  using transplant::Severity;
  const bool is_revoked = version.revoke_reason.has_value();
  const auto& reason = is_revoked ? version.revoke_reason : version.yank_reason;
  if (!reason) return;
  const std::string state = is_revoked ? "revoked" : "yanked";
  transplant::CompatibilityFinding finding{
      .rule = state,
      .severity = is_revoked ? Severity::refusal : Severity::warning,
      .expected = "a version that was not withdrawn",
      .actual = state,
      .message = fmt::format("{}:{} was {}: {}", escape_text(version.name),
                             escape_text(version.version), state, escape_text(*reason, 4096)),
      .hint = "organ list shows the versions of the name"};
  const auto place = is_revoked ? report.findings.begin() : report.findings.end();
  report.findings.insert(place, std::move(finding));
}

void print_verdict(const Context& context, const CheckArguments& arguments,
                   const OrganArgument& organ, const transplant::CompatibilityReport& report) {
  if (wants_json(context, arguments.report)) {
    nlohmann::json record = to_json(report);
    record["organ"] = organ.text;
    record["recipient"] = arguments.recipient;
    record["superseded"] = organ.version ? superseded_json(*organ.version) : nlohmann::json();
    context.print_json("check", std::move(record));
    return;
  }
  show(context, report);
  const std::string line =
      fmt::format("{} in {} at layer {}: {}", escape_text(organ.text),
                  escape_text(arguments.recipient), report.position, verdict_text(report));
  if (report.installable()) {
    context.confirm(line);
  } else {
    context.print(line);
  }
}

void run_check(Context& context, const CheckArguments& arguments) {
  check_report_files(context, arguments.report,
                     {folder_of_argument(arguments.placement.organ), arguments.recipient});
  OrganArgument organ;
  auto report = watched(context, arguments.threads, [&](const Work& work) {
    organ = open_organ(context, arguments.placement.organ, work);
    transplant::require_settled(arguments.recipient);
    const format::Manifest& manifest = organ.organ->manifest();
    const auto recipient = format::Checkpoint::open(arguments.recipient, manifest.stack());
    return transplant::check_compatibility(manifest, recipient,
                                           arguments.placement.position_of(organ), work);
  });
  if (!report.installable()) context.worsen(ErrorCode::incompatible);
  if (organ.version) {
    add_withdrawal(report, *organ.version);
    if (organ.version->revoke_reason) context.worsen(ErrorCode::untrusted);
    note_superseded(context, *organ.version);
  }
  const Report cases{.command = "check",
                     .cases = {to_case(report, organ.text, arguments.recipient)}};
  if (!print_report(context, arguments.report, cases)) {
    print_verdict(context, arguments, organ, report);
  }
  write_reports(arguments.report, cases);
}

}  // namespace

void add_check(Command& app, Context& context) {
  const auto arguments =
      std::make_shared<CheckArguments>();  // lives as long as the parser's callback
  Command command = app.add_command(
      context, "check", "say whether an organ fits a recipient, from the manifest alone",
      "  organ check legal:1.0.0 --recipient SmolLM2-135M\n"
      "  organ check ./legal-1.0.0 --recipient TinyLlama --at 7 --json");
  add_placement_options(command, arguments->placement).required();
  command.add_path("--recipient", arguments->recipient, "checkpoint folder")
      .required()
      .value_name("MODEL");
  add_report_options(command, arguments->report);
  add_threads_option(command, arguments->threads);
  command.on_run([&context, arguments] { run_check(context, *arguments); });
}

}  // namespace organ::cli
