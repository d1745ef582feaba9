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
#include "cli/output/attestations.h"
#include "cli/output/evaluation_demand.h"
#include "cli/output/finite_option.h"
#include "cli/output/verify.h"
#include "cli/registry/open_registry.h"
#include "cli/report/report_options.h"
#include "format/base/error.h"
#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/signature/attestation.h"
#include "registry/lockfile/locking.h"

namespace organ::cli {
namespace {

using registry::Registry;
using registry::VerifyReport;

struct VerifyArguments {
  std::string subject;
  bool all = false;
  std::optional<std::uint64_t> reread_after;
  ReportOptions report;
  TrustOptions trust;
  CertificateOptions certificates;
  bool require_finite = false;
  std::vector<std::string> demands, attestations, attesters;
  unsigned threads = 0;
};

// Every version of the lock file.
VerifyReport verify_locked(const Context& context, const VerifyArguments& arguments,
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
    for (std::string& note : one.notes) {  // of what all organs share once
      if (std::ranges::find(report.notes, note) == report.notes.end()) {
        report.notes.push_back(std::move(note));
      }
    }
    report.versions += one.versions;
    report.bytes += one.bytes;
  }
  return report;
}

void require_no_name(const VerifyArguments& arguments) {
  if (arguments.trust.as_name.empty()) return;
  throw Error(ErrorCode::invalid_argument, "--as: several organs are looked at, which have names",
              "give the one that is meant");
}

VerifyReport examine_asked(const Context& context, const VerifyArguments& arguments,
                           const Work& work) {
  registry::TrustOverride trust = arguments.trust.load();
  arguments.certificates.add_to(trust);
  for (const std::string& file : arguments.attestations) {
    trust.attestations.push_back(read_file(file, format::kAttestationLimit));
  }
  for (const std::string& file : arguments.attesters) {
    trust.attesters.push_back(format::PublicKey::load(file));
  }
  if (arguments.all) {
    if (!arguments.subject.empty() || !arguments.trust.locked.empty()) {
      throw Error(ErrorCode::invalid_argument,
                  "give either --all or one organ or lock file, not both");
    }
    require_no_name(arguments);
    return open_registry(context, Registry::Mode::read, work)
        .verify_all(trust, work, arguments.reread_after);
  }
  if (arguments.reread_after) {
    throw Error(ErrorCode::invalid_argument,
                "--reread-after: is about the whole registry, and one organ is looked at",
                "give it with --all");
  }
  if (arguments.subject.empty()) {
    if (!arguments.trust.locked.empty()) {
      require_no_name(arguments);
      return verify_locked(context, arguments, trust, work);
    }
    throw Error(ErrorCode::invalid_argument, "nothing to verify",
                "give a reference or a folder, or --all for the whole registry");
  }
  return examine(
      open_organ(context, arguments.subject, arguments.trust, work, format::OddEntries::keep),
      trust, work);
}

// What was a warning is damage.
void demand_finite(VerifyReport& report) {
  for (VerifyReport::Item& item : report.items) {
    item.findings.insert(item.findings.end(), item.not_finite.begin(), item.not_finite.end());
    item.not_finite.clear();
  }
}

// Whether somebody may have attested what nobody could read.
bool is_unknown(const registry::TrustVerdict& trust) {
  return trust.policy.empty() ||  // nobody was asked
         std::ranges::any_of(trust.attestations, &registry::JudgedAttestation::unread);
}

// What is demanded of figures is demanded of those that somebody who is trusted attested: what the
// organ says of itself is never enough.
void demand_attested(const std::vector<EvaluationDemand>& demands, bool whole_registry,
                     VerifyReport& report) {
  for (VerifyReport::Item& item : report.items) {
    if (whole_registry && item.digest == Digest()) continue;  // its log, its catalog
    const auto figures = attested_figures(item.trust.attestations);
    const bool unknown = is_unknown(item.trust);
    const std::string none =
        unknown ? "nobody knows whether such a figure was attested: not all of it could be read"
                : "nobody who is trusted attested such a figure";
    for (const EvaluationDemand& demand : demands) {
      for (Shortfall& one : judge_demand(figures, demand, none)) {
        const bool is_open = unknown && one.message == none;
        item.trust.refusals.push_back({is_open ? ErrorCode::io : ErrorCode::untrusted,
                                       std::move(one.subject), std::move(one.message)});
      }
    }
  }
}

void run(Context& context, const VerifyArguments& arguments) {
  if (arguments.demands.size() > kMostDemands) {
    fail(ErrorCode::invalid_argument, "--require: at most {} are taken", kMostDemands);
  }
  std::vector<EvaluationDemand> demands;
  for (const std::string& text : arguments.demands) demands.push_back(parse_demand(text));
  check_report_files(context, arguments.report, {folder_of_argument(arguments.subject)});
  VerifyReport report = watched(context, arguments.threads, [&](const Work& work) {
    return examine_asked(context, arguments, work);
  });
  if (arguments.require_finite) demand_finite(report);
  demand_attested(demands, arguments.all, report);
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
      "  organ verify ./legal --ca-roots acme.pem \\\n"
      "      --identity email:ada@acme.example\n"
      "  organ verify --locked organ.lock\n"
      "  organ verify legal/contracts:1.0.0 \\\n"
      "      --require 'evaluation:nll<=2.5,protocol=P0'\n"
      "  organ verify --all --junit verify.xml --sarif verify.sarif\n"
      "  organ verify --all --reread-after 30d");
  auto arguments = std::make_shared<VerifyArguments>();
  command.add_path("REF|DIR", arguments->subject, "a published version or an organ folder");
  command.add_flag("--all", arguments->all, "every version of the registry, its log and catalog");
  add_age_option(command, "--reread-after", arguments->reread_after,
                 "with --all: read an object again only when it was last read longer ago, or was "
                 "written since");
  add_report_options(command, arguments->report);
  add_trust_options(command, arguments->trust, "");
  add_certificate_options(command, arguments->certificates);
  command
      .add_option(
          "--require", arguments->demands,
          "a bound on figures that a trusted key attested: evaluation:nll<=2.5,tokens>=1000")
      .value_name("CONDITIONS");
  command
      .add_path("--attestation", arguments->attestations,
                "a bundle of organ attest, beside those that come with it; repeatable")
      .value_name("FILE");
  command
      .add_path("--attester", arguments->attesters,
                "public key whose attestations count, instead of the policy's; repeatable")
      .value_name("PUB");
  add_finite_option(command, arguments->require_finite);
  add_threads_option(command, arguments->threads);
  command.on_run([&context, arguments] { run(context, *arguments); });
}

}  // namespace organ::cli
