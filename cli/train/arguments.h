// SPDX-License-Identifier: Apache-2.0
// The options that `train` and `recover` share, and how both show a run.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/frame/command.h"
#include "format/manifest/manifest.h"
#include "train/data/dataset.h"
#include "train/trainer/organ_output.h"
#include "train/trainer/trainer.h"

namespace organ::cli {

struct TrainArguments {
  std::string model, stack;
  std::vector<std::string> data, held_out;
  std::string ids, held_out_ids;
  std::optional<std::int32_t> padding_id;  // of ids and held_out_ids
  std::optional<double> held_out_share;
  std::string documents = "file";
  std::string out, run_folder, cache_folder;
  std::optional<double> epochs;
  std::optional<std::int64_t> steps;
  std::string mode = "in_situ", precision = "bf16", device = "cpu", schedule = "cosine",
              packing = "ffd";
  train::TrainSettings settings;
};

void add_train_arguments(CLI::App& command, TrainArguments& arguments);

// The data of a run, read and checked against each other.
struct TrainData {
  train::Dataset training;
  std::optional<train::Dataset> held_out;
  std::optional<Digest> tokenizer;
  std::optional<double> overlap;  // overlap_share() with the held-out data
};

// Checks names and ranges that need no data and fills settings; then reads the data and derives
// the number of steps. Throws invalid_argument (also for an --out that exists: already_exists).
void prepare_settings(TrainArguments& arguments);
TrainData read_train_data(const Context& context, TrainArguments& arguments,
                          const format::Checkpoint& checkpoint);

// Notes, warnings and the progress line of a run on stderr. Its end ends that line: let it live no
// longer than the run, or the next text is written behind the progress.
std::unique_ptr<train::TrainObserver> make_observer(const Context& context);

// stdout: one line per evaluation, or the record's common fields.
void print_evaluations(const Context& context, const std::vector<format::Evaluation>& evaluations);
nlohmann::json run_record(const train::TrainResult& result,
                          const std::vector<format::Evaluation>& evaluations);

}  // namespace organ::cli
