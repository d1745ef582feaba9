// SPDX-License-Identifier: Apache-2.0
// The options that `train`, `recover` and `baseline` share, and what they print of a run.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cli/frame/context.h"
#include "format/manifest/manifest.h"
#include "train/data/run_data.h"
#include "train/trainer/trainer.h"

namespace organ::cli {

class Command;

// What the options say, as they were typed. The command keeps it; the parser fills it.
struct TrainArguments {
  // A checkpoint folder, and whose layers of an encoder-decoder ("encoder", "decoder"; empty: the
  // decoder's).
  std::string model, stack;
  // Paths of texts to train on and to measure on; or, instead of either, a safetensors file with
  // I64 `ids` [windows, length]. Empty: not given.
  std::vector<std::string> data, held_out;
  std::string ids, held_out_ids;
  std::optional<std::int32_t> padding_id;  // of ids and held_out_ids
  // Instead of held_out: whole files of `data` that hold this share of its bytes.
  std::optional<double> held_out_share;
  train::DocumentSplit documents = train::DocumentSplit::file;
  train::LeadIn lead_in = train::LeadIn::automatic;
  // The new folder of the result; train states and metrics.jsonl (empty: OUT.run); outputs of the
  // layers below (empty: kept in memory).
  std::string out, run_folder, cache_folder;
  // One of the two at most; neither: 3 epochs.
  std::optional<double> epochs;
  std::optional<std::int64_t> steps;
  train::TrainSettings settings;  // as the options say; see wished_settings
};

// `arguments` is borrowed and lives as long as the program.
void add_train_arguments(Command& command, TrainArguments& arguments);

// What the options ask for, before any data is read and before it is known which part trains. Makes
// the device ready. Throws invalid_argument, device; already_exists for an --out that exists.
train::TrainSettings wished_settings(const TrainArguments& arguments);

// The data of a run; says what was set aside of it, how much of what is held out was in it, and
// when nothing ends a document.
// Throws what read_run_data throws, and incompatible for a model folder with an adapter in it.
train::RunData read_train_data(const Context& context, const TrainArguments& arguments,
                               const train::TrainSettings& wishes,
                               const format::Checkpoint& checkpoint);

// What of the model trains: TrainSettings::layers and method.
struct TrainedPart {
  format::LayerRange layers;
  std::string method = "";
};

// The wishes with what the command and the data decide; settings of a run change no more.
train::TrainSettings run_settings(const TrainArguments& arguments,
                                  const train::TrainSettings& wishes, const TrainedPart& part,
                                  const train::RunData& data);

// How much there is to do.
void note_run(const Context& context, const train::TrainSettings& settings,
              const train::Dataset& training);

// Those of a finished run. What cannot be removed is a warning: the result is written.
void remove_states(const Context& context, const std::filesystem::path& run_folder);

// stdout: one line per evaluation, or the record's common fields.
void print_evaluations(const Context& context, const std::vector<format::Evaluation>& evaluations);
nlohmann::json run_record(const train::TrainResult& result,
                          const std::vector<format::Evaluation>& evaluations);

}  // namespace organ::cli
