// SPDX-License-Identifier: Apache-2.0
// What a rival of an organ cost and gave, one record for all methods, and the folder it leaves.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "format/base/json_text.h"
#include "format/manifest/manifest.h"
#include "format/manifest/overlap_record.h"
#include "train/adapter/adapter.h"
#include "train/data/token_stream.h"
#include "train/trainer/trainer.h"

namespace organ::train {

// What a method cost and gave (schemas/baseline.v1.schema.json).
struct BaselineReport {
  std::string method;        // lora, same_layers, …
  std::string config;        // JSON: the exact configuration of the method
  JsonText hyperparameters;  // of the training, as in organ.json
  std::uint64_t seed = 0;
  // Name, digest and tokens of each file.
  std::vector<DataFile> data;          // trained on
  std::uint64_t trainable = 0;         // parameters
  std::uint64_t model_parameters = 0;  // of the untouched model
  // Steps done, those skipped included, which moved nothing (loss or gradient not finite).
  std::uint64_t steps = 0, skipped = 0;
  std::uint64_t tokens = 0;    // trained on, padding included
  double flops_per_token = 0;  // matrix products, forward and backward
  // Wall time of all parts of a resumed run, as TrainResult has it.
  std::uint64_t milliseconds = 0;
  // Peaks of this process when the report was made; nullopt where the machine does not tell.
  std::optional<std::uint64_t> peak_memory;      // bytes resident
  std::optional<std::uint64_t> peak_device;      // bytes of the device, where it is not the CPU
  std::vector<format::Evaluation> evaluations;   // recipient_untouched, after_training; P0
  std::string stack;                             // whose layers, of an encoder-decoder; else empty
  std::optional<format::OverlapRecord> overlap;  // of the held-out data
};

// Of a finished run, in the process that trained it; what the run does not know are `method` and
// `config`. Parameters of the model are the numbers that its files store.
BaselineReport make_baseline_report(std::string method, std::string config, const TrainedRun& run);
// The fields of the schema but schema_version. Throws corrupt where `config` is no JSON.
nlohmann::json to_json(const BaselineReport& report);

// The name of the record in the folder that a baseline leaves.
inline constexpr std::string_view kBaselineRecord = "baseline.json";

// Writes `out`: the PEFT folder of an adapter with baseline.json, or a copy of the checkpoint with
// the trained layers in place and baseline.json. Throws already_exists, io, cancelled.
// The folder appears whole or not at all, and is no more open to others than the model's.
void write_adapter_baseline(const BaselineReport& report, const Adapter& adapter,
                            const format::Checkpoint& checkpoint, const std::filesystem::path& out,
                            const Work& work = {});
void write_checkpoint_baseline(const BaselineReport& report, const TrainedRun& run,
                               const std::filesystem::path& out, const Work& work = {});

}  // namespace organ::train
