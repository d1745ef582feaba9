// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>
#include <variant>

#include <nlohmann/json.hpp>

#include "cli/frame/long_work.h"
#include "cli/organ/certificate_options.h"
#include "cli/organ/commands.h"
#include "cli/organ/examine.h"
#include "cli/organ/organ_argument.h"
#include "cli/output/finite_option.h"
#include "cli/output/verify.h"
#include "cli/registry/open_registry.h"
#include "cli/report/report_options.h"
#include "format/base/error.h"
#include "format/base/fail.h"
#include "registry/lockfile/locking.h"

namespace organ::cli {
namespace {

using registry::Registry;
using registry::VerifyReport;

struct Arguments {
  std::string subject;
  bool all = false;
  ReportOptions report;
  TrustOptions trust;
  CertificateOptions certificates;
  bool require_finite = false;
  unsigned threads = 0;
};

// Every version of the lock file.
VerifyReport verify_locked(const Context& context, const Arguments& arguments,
                           const registry::TrustOverride& trust, const Work& work) {
  const auto lock = registry::LockFile::load(arguments.trust.locked);
  const Registry registry = open_registry(context, Registry::Mode::read, work);
  registry::require_same_log(lock, registry);
  if (lock.organs.empty()) {
    throw Error(ErrorCode::not_found, quote(arguments.trust.locked.string()) + ": locks no organ",
                "organ lock NAME adds one");
  }
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

VerifyReport examine_asked(const Context& context, const Arguments& arguments, const Work& work) {
  registry::TrustOverride trust = arguments.trust.load();
  arguments.certificates.add_to(trust);
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
  return examine(open_organ(context, arguments.subject, work, arguments.trust.locked), trust,
                 arguments.trust.as_name, work);
}

// What was a warning is damage.
void demand_finite(VerifyReport& report) {
  for (VerifyReport::Item& item : report.items) {
    item.findings.insert(item.findings.end(), item.not_finite.begin(), item.not_finite.end());
    item.not_finite.clear();
  }
}

void run(Context& context, const Arguments& arguments) {
  check_report_files(context, arguments.report, {folder_of_argument(arguments.subject)});
  VerifyReport report = watched(context, arguments.threads, [&](const Work& work) {
    return examine_asked(context, arguments, work);
  });
  if (arguments.require_finite) demand_finite(report);
  for (const VerifyReport::Item& item : report.items) {
    for (const format::Finding& finding : item.findings) context.worsen(finding.code);
    for (const format::Finding& refusal : item.trust.refusals) context.worsen(refusal.code);
  }
  const Report cases = to_report(report);
  if (print_report(context, arguments.report, cases)) {
    // Nothing else goes to stdout.
  } else if (wants_json(context, arguments.report)) {
    context.print_json("verify", to_json(report));
  } else if (const std::string text = to_text(report, context.quiet); !text.empty()) {
    context.print(text);
  }
  write_reports(arguments.report, cases);
}

}  // namespace

void add_verify(Command& app, Context& context) {
  Command command = app.add_command(
      context, "verify",
      "read every byte of an organ, check digests and signatures, and say what is proved",
      "  organ verify legal/contracts:1.0.0\n"
      "  organ verify ./legal-1.0.0 --key legal.pub\n"
      "  organ verify ./legal-1.0.0 --ca-roots acme-ca.pem --identity email:legal@acme.example\n"
      "  organ verify --locked organ.lock\n"
      "  organ verify --all --junit verify.xml --sarif verify.sarif");
  auto arguments = std::make_shared<Arguments>();
  command.add_path("REF|DIR", arguments->subject, "a published version or an organ folder");
  command.add_flag("--all", arguments->all, "every version of the registry, its log and catalog");
  add_report_options(command, arguments->report);
  add_trust_options(command, arguments->trust);
  add_certificate_options(command, arguments->certificates);
  add_finite_option(command, arguments->require_finite);
  add_threads_option(command, arguments->threads);
  command.on_run([&context, arguments] { run(context, *arguments); });
}

}  // namespace organ::cli
