// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "cli/frame/amounts.h"
#include "cli/output/version.h"
#include "cli/registry/commands.h"
#include "cli/registry/open_registry.h"
#include "format/base/fail.h"
#include "format/manifest/evaluation_json.h"
#include "format/manifest/imported.h"
#include "format/manifest/reference.h"
#include "registry/registry.h"

namespace organ::cli {
namespace {

using registry::Registry;
using registry::VersionInfo;

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
  line("superseded", superseded_text(version));
  for (const format::FileEntry& file : organ.files) {
    line("file", fmt::format("{:<22} {:>9}  {}", escape_text(file.path), size_text(file.size),
                             file.digest.to_string()));
  }
  for (const format::Evaluation& evaluation : organ.evaluations) {
    line("evaluation",
         fmt::format("{} {}: NLL {:.4f}, perplexity {:.2f} on {}{}",
                     escape_text(evaluation.protocol), escape_text(evaluation.subject),
                     evaluation.nll, evaluation.perplexity, escape_text(evaluation.dataset),
                     conditions_text(evaluation)));
  }
}

void run(const Context& context, const std::string& text) {
  const format::Reference reference = format::Reference::parse(text);
  const Registry registry = open_registry(context, Registry::Mode::read);
  const VersionInfo version = registry.resolve(reference);
  const auto organ = registry.open_organ(version);
  if (!context.json) {
    print_text(context, version, organ->manifest());
    return;
  }
  nlohmann::json record = to_json(version);
  record["files"] = files_json(organ->manifest());
  record["evaluations"] = evaluations_json(organ->manifest());
  context.print_json("show", record);
}

}  // namespace

void add_show(Command& app, Context& context) {
  Command command = app.add_command(context, "show", "describe one published version",
                                    "  organ show legal/contracts\n"
                                    "  organ show 'legal/contracts@^1.2'\n"
                                    "  organ show legal/contracts:1.0.0 --json");
  auto reference = std::make_shared<std::string>();
  command
      .add_option("REF", *reference,
                  "name, name:version, name@alias, name@RANGE (^1.2, 1.x, …) or name@sha256:…")
      .required();
  command.on_run([&context, reference] { run(context, *reference); });
}

}  // namespace organ::cli
