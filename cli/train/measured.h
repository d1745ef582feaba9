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
// Ranges: check_arguments. Kept by the command; the parser fills it, and a Measured borrows it.
struct EvalArguments {
  // Folders; where there is an `against`, it and model may be records of `organ eval --json
  // --per-document` instead. adapter and against are empty where they were not given.
  std::string model, adapter, against;
  // Paths of texts, and of the texts whose overlap with them is counted; ids: a safetensors file
  // that stands for `data`.
  std::vector<std::string> data, training_data;
  std::string ids;
  train::DocumentSplit documents = train::DocumentSplit::file;
  train::LeadIn lead_in = train::LeadIn::automatic;
  train::Precision precision = train::Precision::fp32;
  train::Protocol protocol = train::Protocol::p0;
  train::MachineChoice machine = {.own_process = true};
  // Tokens of a window, and between the starts of two; nullopt: windows do not overlap.
  std::int64_t context = 512;
  std::optional<std::int64_t> stride;
  // Only the first so many; nullopt: all.
  std::optional<std::int64_t> windows;
  // What fills up rows of ids, and documents in P1; nullopt: rows of ids are all text, and P1 fills
  // up with what the tokenizer names.
  std::optional<std::int32_t> padding_id;
  // Documents that share one padded batch, in P6 only.
  std::int64_t batch = 8;
  // Of the draw of hidden tokens and dropped spans. Figures of other draws than 0 are not compared.
  std::uint64_t mask_seed = 0;
  // Whether the record gets the score of each document, by which --against compares.
  bool per_document = false;
  train::BootstrapOptions bootstrap;
};

// Throws invalid_argument naming the option.
void check_arguments(const EvalArguments& arguments);

// One measurement: planned by construction, made by measure(). Not thread-safe.
class Measured {
 public:
  // Reads the data for the model in `folder`, which is measured with the adapter in
  // `adapter_folder` unless that is "". Borrows the arguments. Throws what reading throws.
  Measured(const Context& context, const EvalArguments& a, const std::string& folder,
           const std::string& adapter_folder);

  // What can be compared before hours of work.
  // The record without the figures; that only a part of the windows was measured is not in it.
  train::EvalRecord planned() const;

  // Draws a meter; a signal ends the process at once, as nothing is written. Tells the self-tests.
  // Call it before what follows. Throws what measuring throws.
  void measure(const Context& context);

  train::EvalRecord record() const;
  const train::Device& device() const { return arguments_.machine.device; }
  // The fields of schemas/eval.v1.schema.json but those of every record and of ResourceWatch.
  nlohmann::json json() const;
  // The same for people, one line each: the figure, of a diagnostic protocol with a watermark and
  // the sound figure, and the overlap.
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
