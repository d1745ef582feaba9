// SPDX-License-Identifier: Apache-2.0
#include "transplant/exchange/export_organ.h"

#include <algorithm>
#include <memory>

#include <nlohmann/json.hpp>

#include "cli/frame/long_work.h"
#include "cli/frame/parse_option.h"
#include "cli/organ/commands.h"
#include "cli/organ/organ_argument.h"
#include "cli/output/signatures.h"
#include "format/base/fail.h"
#include "format/base/json.h"
#include "format/signature/signing.h"
#include "registry/oci/export_layout.h"

namespace organ::cli {
namespace {

enum class Form { hf, paper, modelpack };
constexpr std::pair<std::string_view, Form> kForms[] = {
    {"hf", Form::hf}, {"paper", Form::paper}, {"modelpack", Form::modelpack}};

std::string_view to_string(Form form) {
  for (const auto& [name, one] : kForms) {
    if (one == form) return name;
  }
  return "";
}

std::optional<Form> parse_form(std::string_view name) {
  for (const auto& [known, form] : kForms) {
    if (known == name) return form;
  }
  return std::nullopt;
}

struct ExportArguments {
  std::string organ;
  std::string out;
  Form form = Form::hf;
  unsigned threads = 0;
};

// A folder has room for one signature: the first that is good and of a key that counts here, else
// the first there is.
std::string chosen_bundle(const OrganArgument& organ) {
  const std::vector<std::string> bundles = organ.organ->signature_bundles();
  if (bundles.size() < 2) return bundles.empty() ? std::string() : bundles.front();
  const registry::TrustVerdict verdict = organ.judge_origin({});
  for (const std::string& bundle : bundles) {
    const auto key = format::read_bundle(bundle, organ.text).key;
    if (std::find(verdict.keys.begin(), verdict.keys.end(), key) != verdict.keys.end()) {
      return bundle;
    }
  }
  return bundles.front();
}

// What was written, as it is said.
struct Exported {
  bool is_signed = false;
  std::size_t signatures = 0;  // that the organ has; none are looked at where none is written
  std::vector<std::string> left_out;
  std::optional<registry::ExportedLayout> layout = {};
};

// What is handed on is a signature, good or not.
std::size_t readable_signatures(const OrganArgument& organ) {
  const std::vector<std::string> bundles = organ.organ->signature_bundles();
  for (const std::string& bundle : bundles) (void)format::read_bundle(bundle, organ.text);
  return bundles.size();
}

Exported write_form(const ExportArguments& arguments, const OrganArgument& organ,
                    const Work& work) {
  Exported exported;
  switch (arguments.form) {
    case Form::hf: {
      exported.signatures = readable_signatures(organ);
      const std::string bundle = chosen_bundle(organ);
      exported.is_signed = !bundle.empty();
      transplant::export_folder(*organ.organ, bundle, arguments.out, work);
      break;
    }
    case Form::paper:
      exported.left_out = transplant::export_donor_layers(*organ.organ, arguments.out, work);
      break;
    case Form::modelpack: {
      exported.signatures = readable_signatures(organ);
      registry::LayoutOptions options;
      if (organ.version) options.identity = organ.version->digest;
      exported.layout = registry::export_layout(*organ.organ, arguments.out, options, work);
      exported.is_signed = exported.layout->signatures > 0;
      break;
    }
  }
  return exported;
}

std::string shown(Form form, const Exported& exported) {
  switch (form) {
    case Form::hf:
      return exported.is_signed ? "organ folder with model.sig" : "organ folder, unsigned";
    case Form::paper: return "donor_layers.pt, unsigned";
    case Form::modelpack: break;
  }
  return fmt::format("OCI layout {}, {}", exported.layout->tag,
                     exported.is_signed ? "with its signatures" : "unsigned");
}

void run_export(Context& context, const ExportArguments& arguments) {
  require_folder_above(arguments.out);
  OrganArgument organ;
  const Exported exported = watched(context, arguments.threads, [&](const Work& work) {
    organ = open_organ(context, arguments.organ, work);
    if (organ.version) registry::require_not_revoked(*organ.version);
    if (!organ.version) require_outside(arguments.out, organ.text);
    return write_form(arguments, organ, work);
  });
  if (organ.version && organ.version->yank_reason) {
    context.warn(
        fmt::format("{}: is yanked: {}", organ.text, escape_text(*organ.version->yank_reason)));
  }
  if (arguments.form == Form::hf) note_left_signatures(context, exported.signatures);
  if (arguments.form != Form::modelpack) {
    note_left_attestations(context, organ.organ->attestation_bundles().size());
  }
  context.set_done("the organ is written to " + quote(arguments.out));
  const format::Manifest& manifest = organ.organ->manifest();
  for (const std::string& file : exported.left_out) {
    context.note(fmt::format("{} has no place in donor_layers.pt and is left out", quote(file)));
  }
  if (context.json) {
    Json record = {{"folder", arguments.out},
                   {"organ", organ.text},
                   {"format", to_string(arguments.form)},
                   {"signed", exported.is_signed},
                   {"signatures", exported.signatures},
                   {"name", manifest.name},
                   {"version", manifest.version},
                   {"left_out", exported.left_out}};
    if (exported.layout) {
      record["tag"] = exported.layout->tag;
      record["digest"] = exported.layout->manifest.to_string();
    }
    context.print_json("export", std::move(record));
    return;
  }
  context.confirm(fmt::format("{}: {} as {}", escape_text(arguments.out), escape_text(organ.text),
                              shown(arguments.form, exported)));
}

}  // namespace

void add_export(Command& app, Context& context) {
  const auto arguments =
      std::make_shared<ExportArguments>();  // lives as long as the parser's callback
  Command command =
      app.add_command(context, "export", "write an organ for a hub, for torch, or as an OCI layout",
                      "  organ export legal:1.0.0 --out legal-1.0.0\n"
                      "  organ export legal:1.0.0 --format paper --out legal-pt\n"
                      "  organ export legal:1.0.0 --format modelpack --out legal-oci");
  command.add_path("REF|DIR", arguments->organ, "a published version or an organ folder")
      .required();
  command.add_path("--out", arguments->out, "new folder").required().value_name("DIR");
  add_choice(
      command, "--format", arguments->form, parse_form, "hf|paper|modelpack",
      "hf: its files with model.sig, as Hugging Face keeps a model; paper: donor_layers.pt "
      "for torch.load and donor_metadata.json; modelpack: an OCI layout with its signatures");
  add_threads_option(command, arguments->threads);
  command.on_run([&context, arguments] { run_export(context, *arguments); });
}

}  // namespace organ::cli
