// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iterator>
#include <optional>
#include <variant>

#include <nlohmann/json.hpp>

#include "cli/frame/long_work.h"
#include "cli/frame/parse_option.h"
#include "cli/organ/commands.h"
#include "cli/organ/organ_argument.h"
#include "cli/output/finite_option.h"
#include "cli/output/verify.h"
#include "cli/registry/open_registry.h"
#include "registry/lockfile/locking.h"

namespace organ::cli {
namespace {

using registry::Registry;
using registry::VerifyReport;

enum class ReportForm { text, json, junit, sarif };
constexpr std::string_view kFormNames[] = {"text", "json", "junit", "sarif"};  // in their order

std::string_view to_string(ReportForm form) { return kFormNames[static_cast<std::size_t>(form)]; }

std::optional<ReportForm> parse_report_form(std::string_view name) {
  const auto* found = std::find(std::begin(kFormNames), std::end(kFormNames), name);
  if (found == std::end(kFormNames)) return std::nullopt;
  return static_cast<ReportForm>(found - std::begin(kFormNames));
}

struct Arguments {
  std::string subject;
  bool all = false;
  ReportForm form = ReportForm::text;
  TrustOptions trust;
  bool require_finite = false;
  unsigned threads = 0;
};

VerifyReport verify_folder(const OrganArgument& argument, const registry::TrustOverride& trust,
                           const std::string& as_name, const Work& work) {
  VerifyReport::Item item{.subject = argument.text, .digest = {}, .findings = {}, .trust = {}};
  format::FiniteCheck finite;
  item.findings = format::verify_contents(*argument.organ, {}, work, finite);
  item.not_finite = std::move(finite.found);
  item.trust = argument.judge_origin(trust, as_name);
  if (item.findings.empty()) {
    item.trust.established.insert(item.trust.established.begin(),
                                  "every byte is what organ.json says");
  }
  VerifyReport report;
  for (const format::FileEntry& file : argument.organ->manifest().files) report.bytes += file.size;
  report.items.push_back(std::move(item));
  report.versions = 1;
  return report;
}

// Every version of the lock file.
VerifyReport verify_locked(const Context& context, const Arguments& arguments,
                           const registry::TrustOverride& trust, const Work& work) {
  const auto lock = registry::LockFile::load(arguments.trust.locked);
  const Registry registry = open_registry(context, Registry::Mode::read, work);
  registry::require_same_log(lock, registry);
  VerifyReport report;
  for (const registry::LockedOrgan& organ : lock.organs) {
    VerifyReport one = registry.verify(
        registry::resolve_locked(lock, registry, {organ.name, std::monostate()}), trust, work);
    std::move(one.items.begin(), one.items.end(), std::back_inserter(report.items));
    std::move(one.warnings.begin(), one.warnings.end(), std::back_inserter(report.warnings));
    report.versions += one.versions;
    report.bytes += one.bytes;
  }
  return report;
}

VerifyReport examine(const Context& context, const Arguments& arguments, const Work& work) {
  const registry::TrustOverride trust = arguments.trust.load();
  if (arguments.all) {
    if (!arguments.subject.empty() || !arguments.trust.locked.empty()) {
      throw Error(ErrorCode::invalid_argument,
                  "give either --all or one organ or lock file, not both");
    }
    return open_registry(context, Registry::Mode::read, work).verify_all(trust, work);
  }
  if (arguments.subject.empty()) {
    if (!arguments.trust.locked.empty()) return verify_locked(context, arguments, trust, work);
    throw Error(ErrorCode::invalid_argument, "nothing to verify",
                "give a reference or a folder, or --all for the whole registry");
  }
  const OrganArgument argument =
      open_organ(context, arguments.subject, work, arguments.trust.locked);
  return argument.version ? argument.registry->verify(*argument.version, trust, work)
                          : verify_folder(argument, trust, arguments.trust.as_name, work);
}

// What was a warning is damage.
void demand_finite(VerifyReport& report) {
  for (VerifyReport::Item& item : report.items) {
    item.findings.insert(item.findings.end(), item.not_finite.begin(), item.not_finite.end());
    item.not_finite.clear();
  }
}

void run(Context& context, const Arguments& arguments) {
  VerifyReport report = watched(context, arguments.threads, [&](const Work& work) {
    return examine(context, arguments, work);
  });
  if (arguments.require_finite) demand_finite(report);
  for (const VerifyReport::Item& item : report.items) {
    for (const format::Finding& finding : item.findings) context.worsen(finding.code);
    for (const format::Finding& refusal : item.trust.refusals) context.worsen(refusal.code);
  }
  if (context.json || arguments.form == ReportForm::json) {
    context.print_json("verify", to_json(report));
  } else if (arguments.form == ReportForm::junit) {
    context.print(to_junit(report));
  } else if (arguments.form == ReportForm::sarif) {
    context.print(to_sarif(report));
  } else if (const std::string text = to_text(report, context.quiet); !text.empty()) {
    context.print(text);
  }
}

}  // namespace

void add_verify(Command& app, Context& context) {
  Command command = app.add_command(
      context, "verify",
      "read every byte of an organ, check digests and signatures, and say what is proved",
      "  organ verify legal/contracts:1.0.0\n"
      "  organ verify ./legal-1.0.0 --key legal.pub\n"
      "  organ verify --locked organ.lock\n"
      "  organ verify --all --format junit");
  auto arguments = std::make_shared<Arguments>();
  command.add_path("REF|DIR", arguments->subject, "a published version or an organ folder");
  command.add_flag("--all", arguments->all, "every version of the registry, its log and catalog");
  add_choice(command, "--format", arguments->form, parse_report_form, "text|json|junit|sarif",
             "form of the report");
  add_trust_options(command, arguments->trust);
  add_finite_option(command, arguments->require_finite);
  add_threads_option(command, arguments->threads);
  command.on_run([&context, arguments] { run(context, *arguments); });
}

}  // namespace organ::cli
