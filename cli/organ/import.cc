// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include <nlohmann/json.hpp>

#include "cli/frame/long_work.h"
#include "cli/frame/train_program.h"
#include "cli/organ/commands.h"
#include "cli/organ/origin_options.h"
#include "cli/output/finite_option.h"
#include "cli/output/signatures.h"
#include "format/base/fail.h"
#include "format/base/path_status.h"
#include "format/signature/signing.h"
#include "transplant/exchange/export_organ.h"
#include "transplant/exchange/import_layers.h"
#include "transplant/exchange/linked_organ.h"
#include "transplant/exchange/oci_layout.h"
#include "transplant/journal.h"

namespace organ::cli {
namespace {

namespace fs = std::filesystem;

struct ImportArguments {
  fs::path source;
  std::optional<std::string> model;
  std::string out, layers, stack, tag;
  transplant::ImportOptions options;
  bool require_finite = false;
  unsigned threads = 0;
};

std::string require_model(const ImportArguments& arguments, std::string_view what) {
  if (arguments.model) return *arguments.model;
  throw Error(ErrorCode::invalid_argument,
              fmt::format("{}: is {}: --into is missing", quote(arguments.source.string()), what),
              "--into MODEL names the checkpoint folder that it was made of");
}

// What is given and would change nothing is a mistake of whoever gives it.
void require_no_words_of_layers(const ImportArguments& arguments, std::string_view what) {
  const transplant::ImportOptions& options = arguments.options;
  const std::pair<std::string_view, bool> given[] = {
      {"--into", arguments.model.has_value() && what != "a PEFT adapter"},
      {"--layers", !arguments.layers.empty()},
      {"--stack", !arguments.stack.empty()},
      {"--name", options.name.has_value()},
      {"--organ-version", options.version.has_value()},
      {"--description", options.description.has_value()},
      {"--license", options.license.has_value()},
      {"--donor", options.donor_id.has_value()},
      {"--donor-revision", options.donor_revision.has_value()},
      {"--require-finite", arguments.require_finite},
  };
  for (const auto& [option, is_given] : given) {
    if (!is_given) continue;
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: is {}: {} says nothing of it", quote(arguments.source.string()),
                            what, option),
                "it is for donor_layers.pt");
  }
}

void require_no_tag(const ImportArguments& arguments) {
  if (arguments.tag.empty()) return;
  throw Error(ErrorCode::invalid_argument,
              fmt::format("{}: is no OCI layout: --tag says nothing of it",
                          quote(arguments.source.string())),
              "");
}

void show_layers(Context& context, const ImportArguments& arguments,
                 const transplant::ImportOutcome& outcome) {
  const format::ExtractionRecord& from = outcome.manifest.extraction;
  std::uint64_t bytes = 0;
  for (const format::FileEntry& file : outcome.manifest.files) bytes += file.size;
  if (context.json) {
    context.print_json("import", {{"folder", arguments.out},
                                  {"source", arguments.source.string()},
                                  {"model", *arguments.model},
                                  {"kind", "donor_layers"},
                                  {"name", outcome.manifest.name},
                                  {"version", outcome.manifest.version},
                                  {"first_layer", from.first_layer},
                                  {"layer_count", from.layer_count},
                                  {"donor_layer_count", from.donor_layer_count},
                                  {"bytes", bytes},
                                  {"left_out", outcome.left_out}});
    return;
  }
  for (const std::string& name : outcome.left_out) {
    context.detail(fmt::format("{} is read by nothing and left out", quote(name)));
  }
  context.confirm(fmt::format("{}: {} as layers {} to {} of {} ({})", escape_text(arguments.out),
                              escape_text(arguments.source.string()), from.first_layer,
                              from.first_layer + from.layer_count - 1, from.donor_layer_count,
                              counted(bytes, "byte")));
}

void import_donor_layers(Context& context, ImportArguments arguments) {
  const std::string model = require_model(arguments, "a file of layers");
  transplant::require_settled(model);
  const auto donor = format::Checkpoint::open(model, arguments.stack);
  context.warn_of(donor.warnings());
  if (!arguments.layers.empty()) {
    arguments.options.layers =
        format::LayerRange::parse(arguments.layers, donor.architecture().layer_count());
  }
  format::FiniteCheck finite{.required = arguments.require_finite, .found = {}};
  arguments.options.finite = &finite;
  const auto outcome = watched(context, arguments.threads, [&](const Work& work) {
    return transplant::import_layers(donor, arguments.source, arguments.out, arguments.options,
                                     work);
  });
  warn_not_finite(context, finite.found);
  context.set_done("the organ is written to " + quote(arguments.out));
  show_layers(context, arguments, outcome);
}

// An organ as it lies elsewhere, as an organ folder. Who signed it is asked when it is used.
void import_organ(Context& context, const ImportArguments& arguments,
                  const format::OrganSource& organ) {
  const auto bundles = organ.signature_bundles();
  for (const std::string& bundle : bundles) (void)format::read_bundle(bundle, organ.describe());
  note_left_signatures(context, bundles.size());
  note_left_attestations(context, organ.attestation_bundles().size());
  watched(context, arguments.threads, [&](const Work& work) {
    transplant::export_folder(organ, bundles.empty() ? "" : bundles.front(), arguments.out, work);
  });
  context.set_done("the organ is written to " + quote(arguments.out));
  const format::Manifest& manifest = organ.manifest();
  if (context.json) {
    context.print_json("import", {{"folder", arguments.out},
                                  {"source", arguments.source.string()},
                                  {"kind", "organ"},
                                  {"name", manifest.name},
                                  {"version", manifest.version},
                                  {"signed", !bundles.empty()},
                                  {"signatures", bundles.size()}});
    return;
  }
  context.confirm(fmt::format("{}: {}:{} of {}, {}", escape_text(arguments.out), manifest.name,
                              manifest.version, escape_text(organ.describe()),
                              bundles.empty() ? "unsigned" : "with its signature"));
}

void import_layout(Context& context, const ImportArguments& arguments) {
  const auto layout = transplant::OciLayout::open(arguments.source, arguments.tag);
  if (layout.holds(format::kManifestFile)) {
    warn_left_out(context, layout.attached().left_out());
    import_organ(context, arguments, *layout.organ());
    return;
  }
  watched(context, arguments.threads,
          [&](const Work& work) { transplant::unpack_layout(layout, arguments.out, work); });
  context.set_done("the files are written to " + quote(arguments.out));
  if (context.json) {
    context.print_json("import", {{"folder", arguments.out},
                                  {"source", arguments.source.string()},
                                  {"kind", "files"},
                                  {"files", layout.files().size()}});
    return;
  }
  context.confirm(fmt::format("{}: {} of {}", escape_text(arguments.out),
                              counted(layout.files().size(), "file"),
                              escape_text(layout.describe())));
}

void run_import(Context& context, const ImportArguments& arguments) {
  const std::string shown = quote(arguments.source.string());
  if (!is_there(arguments.source)) {
    fail(ErrorCode::not_found, "{}: does not exist", shown);
  }
  if (is_folder(arguments.source)) require_outside(arguments.out, arguments.source);
  if (arguments.model) require_outside(arguments.out, *arguments.model);
  require_folder_above(arguments.out);
  if (is_file(arguments.source / "adapter_config.json")) {
    require_model(arguments, "a PEFT adapter");
    require_no_words_of_layers(arguments, "a PEFT adapter");
    require_no_tag(arguments);
    exec_train_program(context.words);
  }
  if (transplant::holds_donor_layers(arguments.source)) {
    require_no_tag(arguments);
    import_donor_layers(context, arguments);
    return;
  }
  if (is_file(arguments.source / format::kManifestFile)) {
    require_no_words_of_layers(arguments, "an organ");
    require_no_tag(arguments);
    import_organ(context, arguments, transplant::LinkedOrgan::open(arguments.source));
    return;
  }
  if (transplant::OciLayout::is_one(arguments.source)) {
    require_no_words_of_layers(arguments, "an OCI layout");
    import_layout(context, arguments);
    return;
  }
  if (is_folder(arguments.source / "snapshots")) {
    throw Error(ErrorCode::incompatible, shown + ": is the cache of a hub, not the folder in it",
                "name one of the folders in " + quote((arguments.source / "snapshots").string()));
  }
  throw Error(
      ErrorCode::incompatible, shown + ": holds nothing that can be imported",
      "layers (donor_layers.pt), an organ in a hub's cache (organ.json), an OCI layout and a "
      "PEFT adapter (adapter_config.json) can");
}

}  // namespace

void add_import(Command& app, Context& context) {
  const auto arguments =
      std::make_shared<ImportArguments>();  // lives as long as the parser's callback
  Command command = app.add_command(
      context, "import",
      "make an organ of donor_layers.pt, or a folder of what tools keep elsewhere",
      "  organ import law/donor_layers.pt --into gpt2 --layers 4:7 --out law-1.0.0\n"
      "  organ import hub/models--me--law/snapshots/0123abcd --out law\n"
      "  organ import law-lora --into SmolLM2-135M --out SmolLM2-135M-law");
  command
      .add_path(
          "FILE|DIR", arguments->source,
          "donor_layers.pt or a folder with it; an organ in a hub's cache; an OCI layout that "
          "holds an organ or a model; a PEFT adapter, to be merged into a copy of its model")
      .required();
  command
      .add_path("--into", arguments->model,
                "checkpoint folder that the layers were cut from, or the adapter was made for")
      .value_name("MODEL");
  command.add_path("--out", arguments->out, "new folder").required().value_name("DIR");
  command
      .add_option("--layers", arguments->layers,
                  "layers A to B-1 of the model that they are [default: as donor_metadata.json, "
                  "or the tensors' names, say]")
      .value_name("A:B");
  command.add_option("--stack", arguments->stack, "stack of layers, where the model has several")
      .value_name("NAME");
  command.add_option("--tag", arguments->tag, "which artifact, where an OCI layout holds several")
      .value_name("NAME");
  transplant::ImportOptions& options = arguments->options;
  command.add_option("--name", options.name, "name of the organ").default_text("organ");
  command.add_option("--organ-version", options.version, "its version (SemVer)")
      .default_text("0.0.0");
  add_origin_options(command, options);
  add_finite_option(command, arguments->require_finite);
  add_threads_option(command, arguments->threads);
  command.on_run([&context, arguments] { run_import(context, *arguments); });
}

}  // namespace organ::cli
