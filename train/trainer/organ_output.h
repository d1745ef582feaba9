// SPDX-License-Identifier: Apache-2.0
// What a training run leaves: an organ folder, or a recipient with recovered layers.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "format/base/digest.h"
#include "format/checkpoint/checkpoint.h"
#include "format/manifest/manifest.h"
#include "train/trainer/trainer.h"

#pragma GCC visibility push(default)

namespace organ::train {

struct OrganIdentity {
  std::string name = "organ";
  std::string version = "0.0.0";
  std::string description;
  std::optional<std::string> license;
  std::string donor_id;
  std::optional<std::string> data_license;
};

// Borrowed results of a run.
struct TrainedRun {
  const format::Checkpoint& checkpoint;
  const TrainSettings& settings;
  const TrainResult& result;
  const Dataset& data;
  const Dataset* held_out;
  std::optional<Digest> tokenizer;
};

// What the run measured, as organ.json says it (schemas/organ.v1.md). A training run starts from
// the untouched recipient; recovery starts from the organ as transplanted. Empty without held-out
// data.
std::vector<format::Evaluation> training_evaluations(const TrainedRun& run);
std::vector<format::Evaluation> recovery_evaluations(const TrainedRun& run);

// Writes the organ folder `out` with the trained layers in the donor's stored types, BF16 for
// MXFP4 (rounded to nearest even), and returns its manifest. Throws already_exists, io,
// incompatible when a value does not fit the stored type.
format::Manifest write_organ(const TrainedRun& run, const OrganIdentity& identity,
                             const std::filesystem::path& out);

// Throws incompatible when a copy of the checkpoint cannot hold trained layers: the experts of one
// config.json are all MXFP4 or none.
void check_recoverable(const format::Checkpoint& checkpoint);

// Writes a copy of the checkpoint folder with the trained layers in place and the file
// `record_name` holding `record` beside the weights. Throws already_exists, io.
void write_trained_checkpoint(const TrainedRun& run, const std::filesystem::path& out,
                              std::string_view record_name, std::string_view record);

// Writes a copy of the checkpoint folder with the trained layers in place; shards without one are
// shared by reflink where the file system can, and copied otherwise. recovery.json beside the
// weights tells what was trained and measured. Throws already_exists, io.
void write_recovered_checkpoint(const TrainedRun& run, const std::filesystem::path& out);

}  // namespace organ::train

#pragma GCC visibility pop
