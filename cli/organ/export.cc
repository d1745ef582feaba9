// SPDX-License-Identifier: Apache-2.0
#include "transplant/exchange/export_organ.h"

#include <algorithm>
#include <memory>

#include <nlohmann/json.hpp>

#include "cli/frame/long_work.h"
#include "cli/frame/parse_option.h"
#include "cli/organ/commands.h"
#include "cli/organ/organ_argument.h"
#include "format/base/fail.h"
#include "format/signature/signing.h"

namespace organ::cli {
namespace {

enum class Form { hf, paper };

std::string_view to_string(Form form) { return form == Form::hf ? "hf" : "paper"; }

std::optional<Form> parse_form(std::string_view name) {
  if (name == "hf") return Form::hf;
  return name == "paper" ? std::optional(Form::paper) : std::nullopt;
}

struct Arguments {
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

void run_export(Context& context, const Arguments& arguments) {
  OrganArgument organ;
  bool is_signed = false;
  std::vector<std::string> left_out;
  watched(context, arguments.threads, [&](const Work& work) {
    organ = open_organ(context, arguments.organ, work);
    if (arguments.form == Form::paper) {
      left_out = transplant::export_donor_layers(*organ.organ, arguments.out, work);
      return;
    }
    const std::string bundle = chosen_bundle(organ);
    is_signed = !bundle.empty();
    transplant::export_folder(*organ.organ, bundle, arguments.out, work);
  });
  context.done = "the organ is written to " + quote(arguments.out);
  const format::Manifest& manifest = organ.organ->manifest();
  for (const std::string& file : left_out) {
    context.note(fmt::format("{} has no place in donor_layers.pt and is left out", quote(file)));
  }
  if (context.json) {
    context.print_json("export", {{"folder", arguments.out},
                                  {"organ", organ.text},
                                  {"format", to_string(arguments.form)},
                                  {"signed", is_signed},
                                  {"name", manifest.name},
                                  {"version", manifest.version},
                                  {"left_out", left_out}});
    return;
  }
  const std::string_view what = arguments.form == Form::paper ? "donor_layers.pt, unsigned"
                                : is_signed                   ? "organ folder with model.sig"
                                                              : "organ folder, unsigned";
  context.confirm(
      fmt::format("{}: {} as {}", escape_text(arguments.out), escape_text(organ.text), what));
}

}  // namespace

void add_export(Command& app, Context& context) {
  const auto arguments = std::make_shared<Arguments>();  // lives as long as the parser's callback
  Command command = app.add_command(context, "export",
                                    "write an organ as a folder for a hub, or as donor_layers.pt",
                                    "  organ export legal:1.0.0 --out legal-1.0.0\n"
                                    "  organ export legal:1.0.0 --format paper --out legal-pt");
  command.add_path("REF|DIR", arguments->organ, "a published version or an organ folder")
      .required();
  command.add_path("--out", arguments->out, "new folder").required().value_name("DIR");
  add_choice(command, "--format", arguments->form, parse_form, "hf|paper",
             "hf: its files with model.sig, as Hugging Face keeps a model; paper: donor_layers.pt "
             "for torch.load and donor_metadata.json");
  add_threads_option(command, arguments->threads);
  command.on_run([&context, arguments] { run_export(context, *arguments); });
}

}  // namespace organ::cli
