// SPDX-License-Identifier: Apache-2.0
// Every setting of a training run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "format/architecture/layer_range.h"
#include "format/base/digest.h"
#include "format/base/json_text.h"
#include "train/data/packing.h"
#include "train/data/task.h"
#include "train/machine/machine_choice.h"
#include "train/machine/precision.h"
#include "train/optimize/adamw_options.h"
#include "train/optimize/schedule.h"
#include "train/processes/process_place.h"

#pragma GCC visibility push(default)

namespace organ::train {

class Dataset;

// in_situ: the layers train where they stand, all others frozen. wrapper: Embed o Organ o Head of
// arXiv 2601.13580; no other layer runs.
enum class TrainMode { in_situ, wrapper };
std::string_view to_string(TrainMode mode);
std::optional<TrainMode> parse_train_mode(std::string_view name);

// Plain value. Ranges: check_settings. The data must have been read with the same context, packing
// and seed, which the run checks.
struct TrainSettings {
  // What decides the numbers; resuming demands the same.
  TrainMode mode = TrainMode::in_situ;
  format::LayerRange layers;  // the layers that train
  // JSON text of the configuration of a baseline (an adapter, a choice of layers); empty: `layers`
  // themselves train.
  std::string method;
  Precision precision = Precision::bf16;
  Packing packing = Packing::ffd;
  TaskDraw draw = TaskDraw::each_epoch;  // of data that hides or drops tokens
  std::int64_t context = 512;            // tokens per window
  std::int64_t batch = 4;                // windows per pass; a few of them run at once
  std::int64_t accumulate = 1;           // passes per step
  std::uint64_t steps = 0;               // in all
  ScheduleKind schedule = ScheduleKind::cosine;
  double rate = 1e-4;         // peak learning rate
  double warmup_share = 0.1;  // of the steps
  AdamWOptions adamw;
  bool decay_all = false;  // weight decay for 1-D tensors too, as torch does
  // Limit of the gradient's Euclidean norm over all that trains.
  double clip_norm = 1.0;  // 0: no clipping
  // Decay of the weights' moving average after its warm-up (ema_decay), which is published; 0:
  // none.
  double ema = 0;
  // Of the order of the windows and the draw of hidden or dropped tokens; at most 2^63 - 1.
  std::uint64_t seed = 0;

  // What does not, but for the last bits.
  MachineChoice machine;
  std::optional<ProcessPlace> place;   // among the processes that share the run; nullopt: alone
  bool recompute_activations = false;  // keep layer inputs only, compute the rest again
  std::filesystem::path cache_folder;  // of the outputs of the layers below; empty: in memory
  std::uint64_t cache_bytes = std::uint64_t{4} << 30;  // bound of either
  std::uint64_t evaluate_every = 0;                    // steps; 0: before and after only
  // Stop after so many evaluations without gain and publish the best weights; 0: publish the last.
  std::uint64_t patience = 0;
  std::uint64_t save_every = 100;    // steps; 0: when the run is interrupted, and at its end
  std::filesystem::path run_folder;  // train states and metrics.jsonl
  bool resume = false;

  std::int64_t rows_per_step() const { return batch * accumulate; }
};

// Throws invalid_argument naming the option, its range and the value: rates that are zero, not
// finite or above 1, empty batches, no steps, no run folder, a method that is no JSON, …
// train_layers asks the same, and that the layers are some of the checkpoint's.
void check_settings(const TrainSettings& settings);

// How long a run is asked to be: so many steps, else so many passes over the data.
struct RunLength {
  std::optional<std::uint64_t> steps = {};
  double epochs = 3;
};

// check_settings for what was asked for, before any data is read: of `wishes` the steps are not
// read, those that `length` names are.
void check_wishes(const TrainSettings& wishes, const RunLength& length);

// The settings of a run over this data: the wishes with what the data decides, context and steps.
// Nothing changes them from then on.
TrainSettings complete_settings(const TrainSettings& wishes, const RunLength& length,
                                const Dataset& training);

// The deciding settings as `training.hyperparameters` of organ.json,
// with what stood around each document of the data: `lead_in`, the ids before it, null for rows of
// ids, and `end_of_sequence`, the id behind it, null for none; what ended a document,
// `document_split`, null for ids, and `padding_id`, what was cut from the end of rows of ids, null
// for nothing. `draw` where tokens are hidden or dropped, `patience` and `evaluate_every` where
// they choose the weights.
JsonText hyperparameters(const TrainSettings& settings, const Dataset& training);

// The same with reals as hex float strings: what train states are compared by.
JsonText setting_texts(const TrainSettings& settings, const Dataset& training);

// SHA-256 of the canonical hyperparameters, layers and seed with the donor's identity: what organs
// compared that recorded no identity of a run, so without those that came later.
Digest settings_digest(const TrainSettings& settings, const Digest& model_config);

}  // namespace organ::train

#pragma GCC visibility pop
