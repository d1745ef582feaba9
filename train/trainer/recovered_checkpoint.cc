// SPDX-License-Identifier: Apache-2.0
#include "train/trainer/recovered_checkpoint.h"

#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/json.h"
#include "format/checkpoint/checkpoint_copy.h"
#include "format/manifest/evaluation_json.h"
#include "format/organ/extraction.h"
#include "train/machine/software.h"
#include "train/trainer/internal/stored_tensors.h"
#include "train/trainer/run_evaluations.h"
#include "train/trainer/run_overlap.h"

namespace organ::train {
namespace {

Json changes_of(const TrainedRun& run) {
  Json changes = Json::array();
  for (const std::uint64_t layer : trained_layers(run)) {
    for (const StoredTensor& tensor : stored_tensors(run, layer)) {
      const auto change = measure_change(
          run, tensor, fmt::format("layer.{:02}/{}", tensor.trained->layer, tensor.info.name));
      changes.push_back({{"tensor", change.tensor},
                         {"relative_rms", change.relative_rms},
                         {"unchanged_fraction", change.unchanged_fraction}});
    }
  }
  return changes;
}

Json recovery_record(const TrainedRun& run) {
  Json evaluations = Json::array();
  for (const auto& e : recovery_evaluations(run)) evaluations.push_back(to_json(e));
  Json data = Json::array();
  for (const auto& file : run.inputs.data.training.stream().files()) {
    data.push_back(
        {{"name", file.name}, {"digest", file.digest.to_string()}, {"tokens", file.tokens}});
  }
  const Json changes = changes_of(run);
  Json trained = Json::array();
  for (const Json& change : changes) trained.push_back(change.at("tensor"));
  const format::Checkpoint& checkpoint = run.inputs.checkpoint;
  const std::string_view stack = checkpoint.architecture().stack();
  const auto overlap = run_overlap(run.inputs.data);
  return {
      {"schema_version", 1},
      {"created", format::creation_time()},
      {"mode", to_string(run.inputs.settings.mode)},
      {"head", checkpoint.tied_head() ? "tied" : "frozen"},
      {"stack", stack.empty() ? Json() : Json(stack)},
      {"trained_tensors", trained},
      {"held_out_overlap", overlap ? json_of(format::overlap_text(*overlap)) : Json()},
      {"first_layer", run.inputs.settings.layers.first},
      {"layer_count", run.inputs.settings.layers.count},
      {"hyperparameters", json_of(hyperparameters(run.inputs.settings, run.inputs.data.training))},
      {"seed", run.inputs.settings.seed},
      {"steps_done", run.result.steps},
      {"steps_skipped", run.result.skipped},
      {"published_weights", to_string(run.result.published)},
      {"published_step", run.result.published_step},
      {"wall_milliseconds", run.result.milliseconds},
      {"software", software_versions(run.result.device)},
      {"data", data},
      {"changes", changes},
      {"evaluations", evaluations}};
}

// The trained tensors, each where its checkpoint has it.
std::vector<format::ReplacedTensor> replaced_tensors(const TrainedRun& run) {
  const format::Checkpoint& checkpoint = run.inputs.checkpoint;
  const std::string embedding = checkpoint.full_name(checkpoint.architecture().layout().embedding);
  std::vector<format::ReplacedTensor> replaced;
  const auto replace = [&](const format::Checkpoint::Location& location,
                           const StoredTensor& tensor) {
    format::TensorSource source = source_of(tensor);
    source.info = *location.tensor;
    replaced.push_back({location.shard, std::move(source)});
  };
  for (const std::uint64_t layer : trained_layers(run)) {
    for (const StoredTensor& tensor : stored_tensors(run, layer)) {
      const std::string& name = tensor.trained->name;  // not that of its file
      if (layer != TrainedTensor::kOutside) {
        replace(checkpoint.layer(layer).at(name), tensor);
        continue;
      }
      if (name != embedding) {
        replace(checkpoint.locate(name), tensor);
        continue;
      }
      for (const auto& place : checkpoint.embedding_places()) replace(place, tensor);
    }
  }
  return replaced;
}

}  // namespace

void check_recoverable(const format::Checkpoint& checkpoint) {
  if (!checkpoint.architecture().spec().experts.mxfp4) return;
  throw Error(ErrorCode::incompatible,
              fmt::format("{}: has MXFP4 experts and cannot hold trained ones beside them",
                          quote(checkpoint.folder().string())),
              "organ train makes an organ that holds the trained experts as BF16");
}

void write_trained_checkpoint(const TrainedRun& run, const std::filesystem::path& out,
                              std::string_view record_name, std::string_view record,
                              const Work& work) {
  format::copy_checkpoint_with(run.inputs.checkpoint, replaced_tensors(run), out, record_name,
                               record, work);
}

void write_recovered_checkpoint(const TrainedRun& run, const std::filesystem::path& out,
                                const Work& work) {
  write_trained_checkpoint(run, out, "recovery.json", pretty_json(recovery_record(run)), work);
}

}  // namespace organ::train
