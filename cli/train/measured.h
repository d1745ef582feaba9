// SPDX-License-Identifier: Apache-2.0
// One model measured on the data that `organ eval` names.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "cli/frame/command.h"
#include "format/checkpoint/checkpoint.h"
#include "train/data/run_data.h"
#include "train/evaluate/comparison.h"
#include "train/evaluate/measure_checkpoint.h"

namespace organ::cli {

// What the options of `organ eval` say.
struct EvalArguments {
  std::string model, adapter, against;
  std::vector<std::string> data, training_data;
  std::string ids;
  train::DocumentSplit documents = train::DocumentSplit::file;
  train::LeadIn lead_in = train::LeadIn::automatic;
  train::Precision precision = train::Precision::fp32;
  train::Protocol protocol = train::Protocol::p0;
  train::MachineChoice machine = {.own_process = true};
  std::int64_t context = 512;
  std::optional<std::int64_t> stride;
  std::optional<std::int64_t> windows;
  std::optional<std::int32_t> padding_id;
  std::int64_t batch = 8;
  std::uint64_t mask_seed = 0;
  bool per_document = false;
  train::BootstrapOptions bootstrap;
};

// Throws invalid_argument naming the option.
void check_arguments(const EvalArguments& arguments);

class Measured {
 public:
  // Reads the data for the model in `folder`, which is measured with the adapter in
  // `adapter_folder` unless that is "". Borrows the arguments. Throws what reading throws.
  Measured(const Context& context, const EvalArguments& a, const std::string& folder,
           const std::string& adapter_folder);

  // The record without the figures; that only a part of the windows was measured is not in it.
  train::EvalRecord planned() const;

  // Call it before what follows. Throws what measuring throws.
  void measure(const Context& context);

  train::EvalRecord record() const;
  const train::Device& device() const { return arguments_.machine.device; }
  nlohmann::json json() const;
  std::vector<std::string> lines() const;

 private:
  void read_data(const Context& context);
  train::Measurement watched_measurement(const Context& context) const;
  std::string protocol_name() const {
    return train::protocol_name(options_.protocol, options_.context, options_.stride);
  }
  format::EvaluationReading reading() const;
  format::EvaluationConditions conditions() const;
  std::string figure(const train::EvaluationResult& result) const;
  nlohmann::json dataset_record() const;
  void add_diagnosis(nlohmann::json& record) const;

  const EvalArguments& arguments_;
  std::string source_, adapter_folder_;
  format::Checkpoint checkpoint_;
  std::optional<Digest> tokenizer_;
  std::optional<train::Dataset> data_;
  train::EvaluationOptions options_;
  train::Measurement measurement_;
  std::optional<train::OverlapCount> overlap_;
};

}  // namespace organ::cli
