// SPDX-License-Identifier: Apache-2.0
#include "transplant/install.h"

#include <algorithm>
#include <memory>
#include <span>

#include <nlohmann/json.hpp>

#include "cli/frame/long_work.h"
#include "cli/frame/parse_option.h"
#include "cli/organ/commands.h"
#include "cli/organ/organ_argument.h"
#include "cli/organ/pending.h"
#include "cli/output/compatibility.h"
#include "cli/output/finite_option.h"
#include "cli/output/version.h"
#include "format/base/fail.h"

namespace organ::cli {
namespace {

enum class Mode { replace };

std::string_view to_string(Mode /*mode*/) { return "replace"; }

std::optional<Mode> parse_mode(std::string_view name) {
  return name == "replace" ? std::optional(Mode::replace) : std::nullopt;
}

struct InstallArguments {
  Placement placement;
  std::string model;
  Mode mode = Mode::replace;
  transplant::InstallOptions options;
  TrustOptions trust;
  unsigned threads = 0;
  bool proceed = false, abort = false;
};

// What lets a refused organ in; nothing when no option does, as of one that was revoked or whose
// signature is of other bytes.
std::string way_out(const OrganArgument& organ, const TrustOptions& options) {
  registry::TrustOverride unsigned_too = options.load();
  unsigned_too.allow_unsigned = true;
  if (!organ.judge_origin(unsigned_too).trusted()) return "";
  return fmt::format("{}--key PUB vouches for it, --allow-unsigned goes without",
                     options.key_files.empty() ? "" : "another ");
}

// Throws untrusted (or corrupt) with the first reason.
transplant::TrustRecord require_trusted(const Context& context, const OrganArgument& organ,
                                        const TrustOptions& options) {
  const registry::TrustVerdict verdict = organ.judge_origin(options.load());
  for (const format::Finding& warning : verdict.warnings) {
    context.warn(escape_text(warning.subject) + ": " + escape_text(warning.message, 2048));
  }
  if (!verdict.trusted()) {
    show_findings(std::span(verdict.refusals).subspan(1));  // the first one is thrown
    const format::Finding& first = verdict.refusals.front();
    throw Error(first.code,
                fmt::format("{}: not trusted: {}: {}", quote(organ.text),
                            escape_text(first.subject), escape_text(first.message, 2048)),
                way_out(organ, options));
  }
  transplant::TrustRecord record;
  record.status = verdict.warnings.empty() && !verdict.keys.empty()
                      ? transplant::TrustStatus::verified
                      : transplant::TrustStatus::unverified;
  record.keys.assign(verdict.keys.begin(), verdict.keys.end());
  record.reasons = verdict.policy;
  for (const format::Finding& warning : verdict.warnings) record.reasons.push_back(warning.message);
  return record;
}

nlohmann::json outcome_json(const transplant::InstallOutcome& outcome) {
  const transplant::Receipt& receipt = outcome.receipt;
  std::vector<std::string> changed;
  for (const transplant::FileChange& file : receipt.files) {
    if (file.undo) changed.push_back(file.path);
  }
  return {{"folder", outcome.folder.string()},
          {"receipt", receipt.number},
          {"organ", receipt.organ_name + ":" + receipt.organ_version},
          {"position", receipt.position},
          {"layer_count", receipt.layer_count},
          {"already_installed", outcome.already},
          {"trust", to_string(receipt.trust.status)},
          {"converted_tensors", receipt.conversions.size()},
          {"changed_files", changed},
          {"left_out", outcome.left_out},
          {"not_followed", outcome.not_followed},
          {"stale", outcome.stale},
          {"unlinked", outcome.unlinked},
          {"not_recorded", outcome.not_recorded},
          {"hard_links", outcome.hard_links},
          {"compatibility", to_json(outcome.compatibility)}};
}

void run_install(Context& context, InstallArguments arguments) {
  if (arguments.options.hard_link && !arguments.options.out) {
    throw Error(ErrorCode::invalid_argument, "--hard-link shares shards with a new folder",
                "add --out DIR");
  }
  if (arguments.options.out) {
    require_outside(*arguments.options.out, arguments.model);
    require_folder_above(*arguments.options.out);
  }
  const auto organ = watched(context, arguments.threads, [&](const Work& work) {
    return open_organ(context, arguments.placement.organ, arguments.trust, work);
  });
  if (organ.version) note_superseded(context, *organ.version);
  arguments.options.position = arguments.placement.position_of(organ);
  arguments.options.source = organ.text;
  arguments.options.trust = require_trusted(context, organ, arguments.trust);
  const auto outcome = watched(context, arguments.threads, [&](const Work& work) {
    return transplant::install_organ(*organ.organ, arguments.model, arguments.options, work);
  });
  const transplant::Receipt& receipt = outcome.receipt;
  warn_not_finite(context, outcome.not_finite);
  const std::string installed =
      escape_text(receipt.organ_name) + ":" + escape_text(receipt.organ_version);
  context.set_done(fmt::format("the organ is installed in {} (receipt {})",
                               quote(outcome.folder.string()), receipt.number));
  if (outcome.recovery != transplant::Recovery::nothing) {
    context.note("an interrupted earlier change of this model was cleaned up first");
  }
  for (const std::string& name : outcome.left_out) {
    const auto& links = outcome.not_followed;
    context.note_left_out(name, std::find(links.begin(), links.end(), name) != links.end());
  }
  for (const std::string& name : outcome.unlinked) {
    context.note(escape_text(name) +
                 ": had other names (hard links), which keep the former bytes; after an undo the "
                 "disk holds those twice");
  }
  for (const std::string& attribute : outcome.not_recorded) {
    context.warn(escape_text(attribute) +
                 " is too long for the receipt: an undo leaves it as it then is");
  }
  for (const std::string& name : outcome.stale) {
    context.warn(escape_text(name) + ": still speaks of the model without the organ");
  }
  if (context.json) {
    nlohmann::json record = outcome_json(outcome);
    record["superseded"] = organ.version ? superseded_json(*organ.version) : nlohmann::json();
    context.print_json("install", std::move(record));
    return;
  }
  if (!outcome.already) show(context, outcome.compatibility);
  context.confirm(fmt::format("{} is {} layers {} to {} of {} (receipt {})", installed,
                              outcome.already ? "already" : "now", receipt.position,
                              receipt.position + receipt.layer_count - 1,
                              escape_text(outcome.folder.string()), receipt.number));
}

void run(Context& context, const InstallArguments& arguments) {
  if (arguments.proceed) return continue_change(context, arguments.model, arguments.threads);
  if (arguments.abort) return give_up_change(context, arguments.model, arguments.threads);
  if (arguments.placement.organ.empty()) {
    throw Error(ErrorCode::invalid_argument, "REF|DIR is required", "organ install --help");
  }
  run_install(context, arguments);
}

}  // namespace

void add_install(Command& app, Context& context) {
  const auto arguments =
      std::make_shared<InstallArguments>();  // lives as long as the parser's callback
  Command command = app.add_command(
      context, "install", "put an organ into a recipient; undone by organ uninstall",
      "  organ install legal:1.0.0 --into SmolLM2-135M --at 10\n"
      "  organ install ./legal-1.0.0 --into SmolLM2-135M --out legal-model \\\n"
      "      --key team.pub\n"
      "  organ install legal --locked organ.lock --into SmolLM2-135M\n"
      "  organ install --continue --into SmolLM2-135M");
  const Option organ = add_placement_options(command, arguments->placement);
  command.add_path("--into", arguments->model, "checkpoint folder of the recipient")
      .required()
      .value_name("MODEL");
  add_choice(command, "--mode", arguments->mode, parse_mode, "replace",
             "what happens to the layers at P");
  command
      .add_path("--out", arguments->options.out,
                "build this new folder, leave the recipient as it is")
      .value_name("DIR");
  command.add_flag("--hard-link", arguments->options.hard_link,
                   "with --out: share unchanged shards by hard link");
  const Option proceed = command.add_flag("--continue", arguments->proceed,
                                          "no organ: finish the change that a crash interrupted");
  const Option abort = command.add_flag("--abort", arguments->abort,
                                        "no organ: give it up; no file of the model is touched");
  proceed.excludes(abort);
  proceed.excludes(organ);
  abort.excludes(organ);
  add_trust_options(command, arguments->trust, "; noted in the receipt");
  add_finite_option(command, arguments->options.require_finite);
  add_threads_option(command, arguments->threads);
  command.on_run([&context, arguments] { run(context, *arguments); });
}

}  // namespace organ::cli
