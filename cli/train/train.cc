// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/train/arguments.h"
#include "cli/train/commands.h"
#include "cli/train/resources.h"
#include "format/base/fail.h"
#include "format/manifest/reference.h"
#include "train/trainer/train_state.h"
#include "transplant/journal.h"

namespace organ::cli {
namespace {

struct Arguments {
  TrainArguments common;
  std::string layers;
  bool middle_third = false;
  train::OrganIdentity identity;
};

void check_identity(const train::OrganIdentity& identity) {
  format::check_name(identity.name);
  (void)format::Version::parse(identity.version);
}

void run_train(const Context& context, Arguments& arguments) {
  ResourceWatch resources;
  TrainArguments& common = arguments.common;
  if (arguments.middle_third == !arguments.layers.empty()) {
    throw Error(ErrorCode::invalid_argument, "which layers: give either --layers or --middle-third",
                "--layers 4:7 trains layers 4, 5 and 6, counted from 0");
  }
  check_identity(arguments.identity);
  prepare_settings(common);
  transplant::recover_journal(common.model);
  const auto checkpoint = format::Checkpoint::open(common.model, common.stack);
  const std::uint64_t layer_count = checkpoint.architecture().layer_count();
  common.settings.layers = arguments.middle_third
                               ? format::LayerRange::middle_third(layer_count)
                               : format::LayerRange::parse(arguments.layers, layer_count);
  if (arguments.identity.donor_id.empty()) {
    arguments.identity.donor_id = std::filesystem::canonical(common.model).filename().string();
  }
  const TrainData data = read_train_data(context, common, checkpoint);
  const train::Dataset* held_out = data.held_out ? &*data.held_out : nullptr;
  const auto result = train::train_layers(checkpoint, common.settings, data.training, held_out,
                                          *make_observer(context));
  if (!result.writes_files) return;
  const auto manifest = train::write_organ(
      {checkpoint, common.settings, result, data.training, held_out, data.tokenizer},
      arguments.identity, common.out);
  train::remove_train_states(common.settings.run_folder);
  if (context.json) {
    nlohmann::json record = run_record(result, manifest.evaluations);
    resources.add_to(record, common.settings.device);
    record["overlap_share"] = data.overlap ? nlohmann::json(*data.overlap) : nlohmann::json();
    record["folder"] = common.out;
    record["name"] = manifest.name;
    record["version"] = manifest.version;
    record["first_layer"] = common.settings.layers.first;
    record["layer_count"] = common.settings.layers.count;
    context.print_json("train", std::move(record));
    return;
  }
  context.print(fmt::format("{}: {} {}, layers {} to {} trained for {} steps ({} skipped)",
                            escape_text(common.out), manifest.name, manifest.version,
                            common.settings.layers.first,
                            common.settings.layers.first + common.settings.layers.count - 1,
                            result.steps, result.skipped));
  print_evaluations(context, manifest.evaluations);
  resources.note(context, common.settings.device);
}

}  // namespace

void add_train(CLI::App& app, Context& context) {
  const auto arguments = std::make_shared<Arguments>();  // lives as long as the parser's callback
  CLI::App* command = add_train_command(
      app, context, "train",
      "  organ train SmolLM2-135M --middle-third --data law/*.txt --held-out test/*.txt \\\n"
      "      --out legal-1.0.0 --name legal --organ-version 1.0.0\n"
      "  organ train SmolLM2-135M --layers 10:13 --data law/*.txt --steps 200 --resume --out "
      "legal");
  command->add_option("--layers", arguments->layers, "layers A to B-1, counted from 0")
      ->type_name("A:B");
  command->add_flag("--middle-third", arguments->middle_third,
                    "three layers from one third of the depth on");
  command
      ->add_option("--mode", arguments->common.mode,
                   "in place in the model, or between embedding and head alone")
      ->type_name("in_situ|wrapper")
      ->capture_default_str();
  train::OrganIdentity& identity = arguments->identity;
  command->add_option("--name", identity.name, "name of the organ")->capture_default_str();
  command->add_option("--organ-version", identity.version, "its version (SemVer)")
      ->capture_default_str();
  command->add_option("--description", identity.description, "one sentence for people");
  command->add_option("--license", identity.license, "SPDX identifier of the weights' licence");
  command->add_option("--data-license", identity.data_license, "licence of the training data");
  command->add_option("--donor", identity.donor_id, "name of the donor [default: folder name]");
  add_train_arguments(*command, arguments->common);
  on_run(command, [&context, arguments] { run_train(context, *arguments); });
}

}  // namespace organ::cli
