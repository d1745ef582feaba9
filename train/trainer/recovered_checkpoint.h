// SPDX-License-Identifier: Apache-2.0
// What a run leaves that trains a checkpoint in place: a copy of it with the trained tensors.
#pragma once

#include <filesystem>
#include <string_view>

#include "format/base/progress.h"
#include "format/checkpoint/checkpoint.h"
#include "train/trainer/trainer.h"

#pragma GCC visibility push(default)

namespace organ::train {

// Throws incompatible when a copy of the checkpoint cannot hold trained layers: the experts of one
// config.json are all MXFP4 or none.
void check_recoverable(const format::Checkpoint& checkpoint);

// Writes a copy of the checkpoint folder with the trained layers in place and the file
// `record_name` holding `record` beside the weights. Throws already_exists, io,
// cancelled.
void write_trained_checkpoint(const TrainedRun& run, const std::filesystem::path& out,
                              std::string_view record_name, std::string_view record,
                              const Work& work = {});

// The same; shards without a trained layer are shared by reflink where the file system can, and
// copied otherwise. recovery.json beside the weights tells what was trained and measured.
void write_recovered_checkpoint(const TrainedRun& run, const std::filesystem::path& out,
                                const Work& work = {});

}  // namespace organ::train

#pragma GCC visibility pop
