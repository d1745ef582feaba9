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
  std::vector<DataFile> data;          // trained on
  std::uint64_t trainable = 0;         // parameters
  std::uint64_t model_parameters = 0;  // of the untouched model
  std::uint64_t steps = 0, skipped = 0;
  std::uint64_t tokens = 0;    // trained on, padding included
  double flops_per_token = 0;  // matrix products, forward and backward
  std::uint64_t milliseconds = 0;
  std::optional<std::uint64_t> peak_memory;      // bytes resident
  std::optional<std::uint64_t> peak_device;      // bytes of the device, where it is not the CPU
  std::vector<format::Evaluation> evaluations;   // recipient_untouched, after_training; P0
  std::string stack;                             // whose layers, of an encoder-decoder; else empty
  std::optional<format::OverlapRecord> overlap;  // of the held-out data
};

BaselineReport make_baseline_report(std::string method, std::string config, const TrainedRun& run);
nlohmann::json to_json(const BaselineReport& report);

inline constexpr std::string_view kBaselineRecord = "baseline.json";

// Writes `out`: the PEFT folder of an adapter with baseline.json, or a copy of the checkpoint with
// the trained layers in place and baseline.json. Throws already_exists, io, cancelled.
void write_adapter_baseline(const BaselineReport& report, const Adapter& adapter,
                            const format::Checkpoint& checkpoint, const std::filesystem::path& out,
                            const Work& work = {});
void write_checkpoint_baseline(const BaselineReport& report, const TrainedRun& run,
                               const std::filesystem::path& out, const Work& work = {});

}  // namespace organ::train
