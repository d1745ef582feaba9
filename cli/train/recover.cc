// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <nlohmann/json.hpp>

#include "cli/train/arguments.h"
#include "cli/train/commands.h"
#include "cli/train/left_out.h"
#include "cli/train/resources.h"
#include "cli/train/watched_run.h"
#include "format/base/fail.h"
#include "train/trainer/recovered_checkpoint.h"
#include "train/trainer/run_evaluations.h"
#include "transplant/journal.h"
#include "transplant/receipt.h"

namespace organ::cli {
namespace {

struct RecoverArguments {
  TrainArguments common;
  std::string layers;
};

// Where the organ is: as asked, else from the newest receipt.
format::LayerRange organ_layers(const RecoverArguments& arguments,
                                const format::Checkpoint& model) {
  if (!arguments.layers.empty()) {
    return format::LayerRange::parse(arguments.layers, model.architecture().layer_count());
  }
  const auto receipts = transplant::read_receipts(model.folder());
  if (receipts.empty()) {
    throw Error(ErrorCode::not_found,
                fmt::format("{}: no organ is installed in it", quote(arguments.common.model)),
                "--layers A:B says where the organ is");
  }
  if (!model.architecture().stack().empty() && arguments.common.stack.empty()) {
    throw Error(ErrorCode::invalid_argument,
                "which stack: the receipt of the organ does not say in which it lies",
                "give --stack encoder or --stack decoder");
  }
  return {receipts.back().position, receipts.back().layer_count};
}

// One neighbour on each side where there is one (arXiv 2601.13580: k + 2 layers recover).
format::LayerRange with_neighbours(format::LayerRange organ, std::uint64_t layer_count) {
  const std::uint64_t first = organ.first > 0 ? organ.first - 1 : 0;
  const std::uint64_t end = std::min(layer_count, organ.first + organ.count + 1);
  return {first, end - first};
}

void run_recover(Context& context, const RecoverArguments& arguments) {
  ResourceWatch resources;
  const TrainArguments& common = arguments.common;
  const train::TrainSettings wishes = wished_settings(common);
  transplant::require_settled(common.model);
  const auto checkpoint = format::Checkpoint::open(common.model, common.stack);
  train::check_recoverable(checkpoint);
  const auto left_out = note_left_out(context, checkpoint);
  const auto organ = organ_layers(arguments, checkpoint);
  const format::LayerRange layers = with_neighbours(organ, checkpoint.architecture().layer_count());
  context.note(fmt::format("organ in layers {} to {}; layers {} to {} are trained", organ.first,
                           organ.first + organ.count - 1, layers.first,
                           layers.first + layers.count - 1));
  const train::RunData data = read_train_data(context, common, wishes, checkpoint);
  const train::TrainSettings settings = run_settings(common, wishes, {layers}, data);
  note_run(context, settings, data.training);
  const WatchedRun watch = watch_run(context);
  const train::TrainInputs inputs{checkpoint, settings, data, *watch.observer, nullptr, watch.work};
  const auto result = train::train_layers(inputs);
  if (!result.writes_files) return;
  const train::TrainedRun run{inputs, result};
  watched_result(context, settings, [&](const Work& work) {
    train::write_recovered_checkpoint(run, common.out, work);
  });
  context.set_done("the checkpoint is written to " + quote(common.out));
  remove_states(context, settings.run_folder);
  const auto evaluations = train::recovery_evaluations(run);
  if (context.json) {
    nlohmann::json record = run_record(result, evaluations);
    resources.add_to(record, result.device);
    record["overlap_share"] = data.overlap ? nlohmann::json(*data.overlap) : nlohmann::json();
    record["folder"] = common.out;
    record["left_out"] = left_out;
    record["organ_first_layer"] = organ.first;
    record["organ_layer_count"] = organ.count;
    record["first_layer"] = layers.first;
    record["layer_count"] = layers.count;
    context.print_json("recover", std::move(record));
    return;
  }
  context.confirm(fmt::format(
      "{}: layers {} to {} trained for {} ({} skipped)", escape_text(common.out), layers.first,
      layers.first + layers.count - 1, counted(result.steps, "step"), result.skipped));
  print_evaluations(context, evaluations);
  resources.note(context, result.device);
}

}  // namespace

void add_recover(Command& app, Context& context) {
  const auto arguments =
      std::make_shared<RecoverArguments>();  // lives as long as the parser's callback
  Command command = app.add_train_command(
      context, "recover",
      "  organ recover recipient --data law/*.txt --epochs 1 --out recovered\n"
      "  organ recover recipient --layers 10:13 --data law/*.txt \\\n"
      "      --held-out test/*.txt --out better");
  command
      .add_option("--layers", arguments->layers, "where the organ is [default: the newest receipt]")
      .value_name("A:B");
  add_train_arguments(command, arguments->common);
  command.on_run([&context, arguments] { run_recover(context, *arguments); });
}

}  // namespace organ::cli
