// SPDX-License-Identifier: Apache-2.0
#include "transplant/extract.h"

#include <memory>

#include <nlohmann/json.hpp>

#include "cli/frame/amounts.h"
#include "cli/frame/long_work.h"
#include "cli/organ/commands.h"
#include "cli/organ/origin_options.h"
#include "cli/output/finite_option.h"
#include "format/base/fail.h"
#include "format/base/path_status.h"
#include "transplant/journal.h"

namespace organ::cli {
namespace {

struct ExtractArguments {
  std::string model;
  std::string layers;
  std::string stack;
  bool middle_third = false;
  std::string out;
  transplant::ExtractOptions options;
  bool require_finite = false;
  unsigned threads = 0;
};

format::LayerRange chosen_layers(const ExtractArguments& arguments,
                                 const format::Checkpoint& donor) {
  const std::uint64_t layers = donor.architecture().layer_count();
  if (arguments.middle_third) return format::LayerRange::middle_third(layers);
  return format::LayerRange::parse(arguments.layers, layers);
}

void run_extract(Context& context, ExtractArguments arguments) {
  if (arguments.middle_third == !arguments.layers.empty()) {
    throw Error(ErrorCode::invalid_argument, "which layers: give either --layers or --middle-third",
                "--layers 4:7 takes layers 4, 5 and 6, counted from 0");
  }
  require_outside(arguments.out, arguments.model);
  require_folder_above(arguments.out);
  format::FiniteCheck finite{.required = arguments.require_finite, .found = {}};
  arguments.options.finite = &finite;
  transplant::require_settled(arguments.model);
  const auto donor = format::Checkpoint::open(arguments.model, arguments.stack);
  context.warn_of(donor.warnings());
  if (arguments.options.donor_id.empty()) {
    arguments.options.donor_id = real_path(arguments.model).filename().string();
  }
  const auto manifest = watched(context, arguments.threads, [&](const Work& work) {
    return transplant::extract_organ(donor, chosen_layers(arguments, donor), arguments.out,
                                     arguments.options, work);
  });
  warn_not_finite(context, finite.found);
  context.set_done("the organ is written to " + quote(arguments.out));
  std::uint64_t bytes = 0;
  for (const format::FileEntry& file : manifest.files) bytes += file.size;
  const format::ExtractionRecord& from = manifest.extraction;
  if (context.json) {
    context.print_json("extract",
                       {{"folder", arguments.out},
                        {"name", manifest.name},
                        {"version", manifest.version},
                        {"model_type", manifest.architecture.model_type},
                        {"architecture_signature", manifest.architecture.signature.to_string()},
                        {"first_layer", from.first_layer},
                        {"layer_count", from.layer_count},
                        {"donor_layer_count", from.donor_layer_count},
                        {"bytes", bytes}});
    return;
  }
  context.confirm(fmt::format("{}: layers {} to {} of {} ({}), architecture {}",
                              escape_text(arguments.out), from.first_layer,
                              from.first_layer + from.layer_count - 1, from.donor_layer_count,
                              size_text(bytes), manifest.architecture.signature.to_string()));
}

}  // namespace

void add_extract(Command& app, Context& context) {
  const auto arguments =
      std::make_shared<ExtractArguments>();  // lives as long as the parser's callback
  Command command =
      app.add_command(context, "extract", "cut contiguous layers out of a checkpoint folder",
                      "  organ extract SmolLM2-135M --layers 10:13 --out legal-0.1.0 --name legal\n"
                      "  organ extract SmolLM2-135M --middle-third --out middle \\\n"
                      "      --license Apache-2.0\n"
                      "  organ extract t5-base --stack encoder --layers 4:7 --out encoder-0.1.0");
  command.add_path("MODEL", arguments->model, "checkpoint folder").required();
  command.add_option("--layers", arguments->layers, "layers A to B-1, counted from 0")
      .value_name("A:B");
  command.add_flag("--middle-third", arguments->middle_third,
                   "three layers from one third of the depth on");
  command
      .add_option("--stack", arguments->stack,
                  "which stack of layers, where the model has several: encoder, decoder, "
                  "or the name of their list of tensors [T5: decoder]")
      .value_name("NAME");
  command.add_path("--out", arguments->out, "new organ folder").required().value_name("DIR");
  transplant::ExtractOptions& options = arguments->options;
  command.add_option("--name", options.name, "name of the organ").show_default();
  command.add_option("--organ-version", options.version, "its version (SemVer)").show_default();
  add_origin_options(command, options);
  add_finite_option(command, arguments->require_finite);
  add_threads_option(command, arguments->threads);
  command.on_run([&context, arguments] { run_extract(context, *arguments); });
}

}  // namespace organ::cli
