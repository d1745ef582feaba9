// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "cli/frame/amounts.h"
#include "cli/output/attestations.h"
#include "cli/output/log_entry.h"
#include "cli/output/version.h"
#include "cli/registry/commands.h"
#include "cli/registry/open_registry.h"
#include "format/base/fail.h"
#include "format/manifest/bom.h"
#include "format/manifest/evaluation_json.h"
#include "format/manifest/imported.h"
#include "format/manifest/reference.h"
#include "format/organ/organ_source.h"
#include "registry/oci/oci.h"
#include "registry/registry.h"

namespace organ::cli {
namespace {

using registry::Registry;
using registry::VersionEvent;
using registry::VersionInfo;

struct ShowArguments {
  std::string reference;
  bool history = false;
  bool bom = false;
};

nlohmann::json files_json(const format::Manifest& organ) {
  nlohmann::json files = nlohmann::json::array();
  for (const format::FileEntry& file : organ.files) {
    files.push_back({{"path", escape_text(file.path)},
                     {"role", to_string(file.role)},
                     {"bytes", file.size},
                     {"digest", file.digest.to_string()},
                     {"tensors", file.tensors.size()}});
  }
  return files;
}

nlohmann::json evaluations_json(const format::Manifest& organ) {
  nlohmann::json out = nlohmann::json::array();
  for (const format::Evaluation& evaluation : organ.evaluations) {
    out.push_back({{"subject", escape_text(evaluation.subject)},
                   {"protocol", escape_text(evaluation.protocol)},
                   {"nll", evaluation.nll},
                   {"ppl", evaluation.perplexity},
                   {"tokens", evaluation.tokens},
                   {"dataset", escape_text(evaluation.dataset)}});
    format::add_conditions(out.back(), evaluation);
  }
  return out;
}

std::string conditions_text(const format::Evaluation& evaluation) {
  if (!evaluation.conditions) return {};
  return fmt::format(" [{}]", format::label_text(*evaluation.conditions));
}

void print_text(const Context& context, const VersionInfo& version, const format::Manifest& organ) {
  const auto line = [&](const char* label, const std::string& value) {
    if (!value.empty()) context.print(fmt::format("{:<13} {}", label, value));
  };
  line("organ", escape_text(version.name + ":" + version.version));
  line("digest", version.digest.to_string());
  line("published",
       fmt::format("{}, log entry {}", escape_text(version.published), version.log_index));
  line("description", escape_text(version.description, 2000));
  line("license", escape_text(version.license.value_or("")));
  line("layers",
       fmt::format("{} to {} of {}", version.first_layer,
                   version.first_layer + version.layer_count - 1, version.donor_layer_count));
  line("family", escape_text(version.model_type));
  line("donor", escape_text(version.donor_id));
  line("architecture", version.architecture_signature.to_string());
  const char* untrained = format::import_record(organ) ? "elsewhere" : "no";
  line("trained", organ.training ? escape_text(organ.training->mode) : untrained);
  line("signatures", std::to_string(version.signature_count));
  for (const std::string& alias : version.aliases) line("alias", "@" + escape_text(alias));
  if (version.yank_reason) line("yanked", escape_text(*version.yank_reason));
  if (version.revoke_reason) line("revoked", escape_text(*version.revoke_reason));
  if (version.taken_down) line("taken down", describe(*version.taken_down));
  if (version.unwitnessed) line("state", *version.unwitnessed);
  line("superseded", superseded_text(version));
  for (const format::FileEntry& file : organ.files) {
    line("file", fmt::format("{:<22} {:>9}  {}", escape_text(file.path), size_text(file.size),
                             file.digest.to_string()));
  }
  for (const format::Evaluation& evaluation : organ.evaluations) {
    line("evaluation",
         fmt::format("{} {}: NLL {:.4f}, perplexity {} on {}{}", escape_text(evaluation.protocol),
                     escape_text(evaluation.subject), evaluation.nll,
                     perplexity_text(evaluation.perplexity), escape_text(evaluation.dataset),
                     conditions_text(evaluation)));
  }
}

// print() adds it.
std::string without_newline(std::string text) {
  text.pop_back();
  return text;
}

nlohmann::json event_json(const VersionEvent& event) {
  nlohmann::json signers = nlohmann::json::array(), unreadable = nlohmann::json::array();
  for (const VersionEvent::Signer& signer : event.signers) {
    signers.push_back({{"key", signer.key.to_string()}, {"verified", signer.verified}});
    if (!signer.states.empty()) signers.back()["states"] = signer.states;
    if (!signer.certificate.empty()) signers.back()["certificate"] = signer.certificate;
  }
  for (const std::string& why : event.unreadable) unreadable.push_back(escape_text(why, 2048));
  return {{"entry", to_json(event.record)}, {"signers", signers}, {"unreadable", unreadable}};
}

// Its description is made of objects that may be damaged; its history stands in the log alone.
void show_history(const Context& context, const Registry& registry, const VersionInfo& version) {
  const std::vector<VersionEvent> events = registry.history_of(version);
  if (context.json) {
    nlohmann::json list = nlohmann::json::array();
    for (const VersionEvent& event : events) list.push_back(event_json(event));
    context.print_json("show", {{"name", escape_text(version.name)},
                                {"version", escape_text(version.version)},
                                {"digest", version.digest.to_string()},
                                {"log_key", escape_text(registry.log_key())},
                                {"history", list}});
    return;
  }
  for (const VersionEvent& event : events) {
    context.print(log_line(event.record));
    for (const VersionEvent::Signer& signer : event.signers) {
      context.print(fmt::format("        {}signed by {}{}",
                                signer.states.empty() ? "" : fmt::format("{}, ", signer.states),
                                signer.certificate.empty()
                                    ? signer.key.to_string()
                                    : "a certificate of " + signer.certificate,
                                signer.verified ? "" : ", not verified"));
    }
    for (const std::string& why : event.unreadable) {
      context.print("        a signature cannot be read: " + escape_text(why, 2048));
    }
  }
  context.note("all of it is signed by the log's key " + escape_text(registry.log_key()));
}

// Of a folder too: it has an identity before it is published.
void show_folder_bom(const Context& context, const std::string& folder) {
  const auto organ = format::OrganFolder::open(folder);
  const format::Manifest& manifest = organ.manifest();
  const Digest identity = registry::identities(manifest, organ.manifest_text()).front();
  context.print(without_newline(format::ml_bom(manifest, identity)));
}

// Who signed it is for verify. The rest of what is known of a version is shown without one that
// cannot be read; the exit code says that it is not all.
std::vector<registry::JudgedAttestation> attestations_of(Context& context, const Registry& registry,
                                                         const registry::ResolvedVersion& version,
                                                         const format::OrganSource& organ) {
  std::vector<format::Finding> unread;
  const bool none = organ.readable_attestations(unread).empty();
  if (none && unread.empty()) return {};
  auto judged = registry.evaluate(version, organ).attestations;
  for (const format::Finding& one : unread) {
    context.worsen(one.code);
    if (one.code == ErrorCode::io) continue;  // is among them
    judged.push_back({.problem = one.subject + ": " + one.message});
  }
  return judged;
}

void run(Context& context, const ShowArguments& arguments) {
  if (arguments.bom && format::looks_like_folder(arguments.reference)) {
    return show_folder_bom(context, arguments.reference);
  }
  const format::Reference reference = format::Reference::parse(arguments.reference);
  const Registry registry = open_registry(context, Registry::Mode::read);
  const VersionInfo version = registry.resolve(reference);
  if (arguments.history) return show_history(context, registry, version);
  const auto organ = registry.open_organ(version);
  if (arguments.bom) {
    context.print(without_newline(format::ml_bom(organ->manifest(), version.digest)));
    return;
  }
  const auto attestations = attestations_of(context, registry, version, *organ);
  if (!context.json) {
    print_text(context, version, organ->manifest());
    for (const std::string& one : attestation_lines(attestations)) {
      context.print(fmt::format("{:<13} {}", "attestation", one));
    }
    return;
  }
  nlohmann::json record = to_json(version);
  record["files"] = files_json(organ->manifest());
  record["evaluations"] = evaluations_json(organ->manifest());
  record["attestations"] = to_json(attestations);
  context.print_json("show", record);
}

}  // namespace

void add_show(Command& app, Context& context) {
  Command command = app.add_command(context, "show", "describe one published version",
                                    "  organ show legal/contracts\n"
                                    "  organ show 'legal/contracts@^1.2'\n"
                                    "  organ show legal/contracts:1.0.0 --history\n"
                                    "  organ show legal/contracts:1.0.0 --bom >bom.json\n"
                                    "  organ show legal/contracts:1.0.0 --json");
  auto arguments = std::make_shared<ShowArguments>();
  command
      .add_path("REF|DIR", arguments->reference,
                "name, name:version, name@alias, name@RANGE (^1.2, 1.x, …) or name@sha256:…; "
                "with --bom an organ folder too")
      .required();
  const Option history =
      command.add_flag("--history", arguments->history,
                       "what happened to it: every entry of the log about it, with who signed");
  command
      .add_flag("--bom", arguments->bom,
                "its bill of materials, CycloneDX 1.6 JSON; of an organ folder too")
      .excludes(history);
  command.on_run([&context, arguments] { run(context, *arguments); });
}

}  // namespace organ::cli
