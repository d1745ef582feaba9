// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "cli/frame/parse_option.h"
#include "cli/train/arguments.h"
#include "cli/train/commands.h"
#include "cli/train/preset.h"
#include "cli/train/resources.h"
#include "cli/train/watched_run.h"
#include "format/base/fail.h"
#include "format/base/path_status.h"
#include "format/manifest/reference.h"
#include "train/trainer/organ_output.h"
#include "transplant/journal.h"

namespace organ::cli {
namespace {

struct TrainCommandArguments {
  TrainArguments common;
  std::string layers;
  bool middle_third = false;
  Preset preset = Preset::none;
  train::OrganIdentity identity;
};

void check_identity(const train::OrganIdentity& identity) {
  format::check_name(identity.name);
  (void)format::Version::parse(identity.version);
}

// With the donor's name where none was given.
train::OrganIdentity identity_of(const TrainCommandArguments& arguments) {
  train::OrganIdentity identity = arguments.identity;
  if (identity.donor_id.empty()) {
    identity.donor_id = real_path(arguments.common.model).filename().string();
  }
  return identity;
}

void run_train(Context& context, const TrainCommandArguments& arguments) {
  ResourceWatch resources;
  const TrainArguments& common = arguments.common;
  if (arguments.middle_third == !arguments.layers.empty()) {
    throw Error(ErrorCode::invalid_argument, "which layers: give either --layers or --middle-third",
                "--layers 4:7 trains layers 4, 5 and 6, counted from 0");
  }
  check_identity(arguments.identity);
  const train::TrainSettings wishes = wished_settings(common);
  transplant::require_settled(common.model);
  const auto checkpoint = format::Checkpoint::open(common.model, common.stack);
  const std::uint64_t layer_count = checkpoint.architecture().layer_count();
  const auto layers = arguments.middle_third
                          ? format::LayerRange::middle_third(layer_count)
                          : format::LayerRange::parse(arguments.layers, layer_count);
  const train::RunData data = read_train_data(context, common, wishes, checkpoint);
  const train::TrainSettings settings = run_settings(common, wishes, {layers}, data);
  note_run(context, settings, data.training);
  const WatchedRun watch = watch_run(context);
  const train::TrainInputs inputs{checkpoint, settings, data, *watch.observer, nullptr, watch.work};
  train::check_organ(inputs, identity_of(arguments));
  const auto result = train::train_layers(inputs);
  if (!result.writes_files) return;
  const auto manifest = watched_result(context, settings, [&](const Work& work) {
    return train::write_organ({inputs, result}, identity_of(arguments), common.out, work);
  });
  context.set_done("the organ is written to " + quote(common.out));
  remove_states(context, settings.run_folder);
  if (context.json) {
    nlohmann::json record = run_record(result, manifest.evaluations);
    resources.add_to(record, result.device);
    record["overlap_share"] = data.overlap ? nlohmann::json(*data.overlap) : nlohmann::json();
    record["folder"] = common.out;
    record["name"] = manifest.name;
    record["version"] = manifest.version;
    record["first_layer"] = layers.first;
    record["layer_count"] = layers.count;
    context.print_json("train", std::move(record));
    return;
  }
  context.confirm(fmt::format("{}: {} {}, layers {} to {} trained for {} ({} skipped)",
                              escape_text(common.out), manifest.name, manifest.version,
                              layers.first, layers.first + layers.count - 1,
                              counted(result.steps, "step"), result.skipped));
  print_evaluations(context, manifest.evaluations);
  resources.note(context, result.device);
}

}  // namespace

void add_train(Command& app, Context& context) {
  const auto arguments =
      std::make_shared<TrainCommandArguments>();  // lives as long as the parser's callback
  Command command = app.add_train_command(
      context, "train",
      "  organ train SmolLM2-135M --middle-third --data law/*.txt \\\n"
      "      --held-out test/*.txt --out legal-1.0.0 \\\n"
      "      --name legal --organ-version 1.0.0\n"
      "  organ train SmolLM2-135M --layers 10:13 --data law/*.txt --steps 200 \\\n"
      "      --resume --out legal");
  command.add_option("--layers", arguments->layers, "layers A to B-1, counted from 0")
      .value_name("A:B");
  command.add_flag("--middle-third", arguments->middle_third,
                   "three layers from one third of the depth on");
  add_choice(command, "--mode", arguments->common.settings.mode, train::parse_train_mode,
             "in_situ|wrapper", "in place in the model, or between embedding and head alone");
  train::OrganIdentity& identity = arguments->identity;
  command.add_option("--name", identity.name, "name of the organ").show_default();
  command.add_option("--organ-version", identity.version, "its version (SemVer)").show_default();
  command.add_option("--description", identity.description, "one sentence for people");
  command.add_option("--license", identity.license, "SPDX identifier of the weights' licence");
  command.add_option("--data-license", identity.data_license, "licence of the training data");
  command.add_option("--donor", identity.donor_id, "name of the donor [default: folder name]");
  add_train_arguments(command, arguments->common);
  add_option_of_names(
      command, "--preset", "paper", "",
      "what is not given here as in arXiv 2601.13580, appendix D: 5 epochs, seed 42, "
      "batches of 4 x 512 tokens, bf16, AdamW at 1e-4, cosine",
      [arguments](const std::string& text, const std::string& expected) {
        arguments->preset = parsed(parse_preset(text), "--preset", text, expected);
      });
  command.on_run([&context, command, arguments] {
    apply_preset(context, command, arguments->preset, arguments->common);
    run_train(context, *arguments);
  });
}

}  // namespace organ::cli
