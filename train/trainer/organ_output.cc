// SPDX-License-Identifier: Apache-2.0
#include "train/trainer/organ_output.h"

#include <utility>
#include <vector>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "format/architecture/unpacked_tensors.h"
#include "format/base/file_system.h"
#include "format/base/json.h"
#include "format/manifest/model_card.h"
#include "format/manifest/reference.h"
#include "format/organ/extraction.h"
#include "format/organ/organ_source.h"
#include "format/organ/organ_writer.h"
#include "train/machine/software.h"
#include "train/processes/process_place.h"
#include "train/trainer/internal/stored_tensors.h"
#include "train/trainer/run_evaluations.h"
#include "train/trainer/run_overlap.h"

namespace organ::train {
namespace {

// What was MXFP4 is trained and stored as plain numbers: the organ's layers are those of a model
// that is not packed.
void sign_unpacked(const TrainedRun& run, format::Manifest& manifest) {
  const format::Architecture& architecture = run.inputs.checkpoint.architecture();
  if (!architecture.spec().experts.mxfp4) return;
  Json fields = json_of(manifest.architecture.layer);
  fields["tensors"] = Json::object();
  for (const auto& tensor : format::unpacked_tensors(architecture.tensors())) {
    fields["tensors"][tensor.name] = tensor.shape;
  }
  manifest.architecture.layer = json_text_without_reals(fields);
  manifest.architecture.signature = format::Architecture::signature(manifest.architecture.layer);
}

// Of all but the trained tensors, which add_layer tells.
format::TrainingRecord training_record(const TrainedRun& run,
                                       const std::optional<std::string>& data_license) {
  format::TrainingRecord record;
  record.mode = to_string(run.inputs.settings.mode);
  record.head = run.inputs.checkpoint.tied_head() ? "tied" : "frozen";
  Json settings = json_of(hyperparameters(run.inputs.settings, run.inputs.data.training));
  settings["steps_done"] = run.result.steps;
  settings["steps_skipped"] = run.result.skipped;
  settings["published_weights"] = to_string(run.result.published);
  settings["published_step"] = run.result.published_step;
  record.hyperparameters = json_text(settings);
  record.seed = run.inputs.settings.seed;
  for (const auto& file : run.inputs.data.training.stream().files()) {
    record.data.push_back({file.name, file.digest, file.tokens, data_license});
  }
  record.software = software_versions(run.result.device);
  record.wall_milliseconds = run.result.milliseconds;
  return record;
}

void add_overlap(const RunData& data, format::Manifest& manifest) {
  if (const auto overlap = run_overlap(data)) format::record_overlap(*overlap, manifest);
}

// What the organ's maker says of it.
void add_identity(const OrganIdentity& identity, format::Manifest& manifest) {
  manifest.name = identity.name;
  manifest.version = format::Version::parse(identity.version).to_string();
  manifest.description = identity.description;
  manifest.license = identity.license;
}

// Bytes of the organ's layers as they are stored.
std::uint64_t stored_size(const TrainedRun& run) {
  const format::LayerRange layers = run.inputs.settings.layers;
  std::uint64_t bytes = 0;
  for (std::uint64_t i = 0; i < layers.count; ++i) {
    for (const auto& tensor : stored_tensors(run, layers.first + i)) bytes += tensor.info.size;
  }
  return bytes;
}

// Writes layer `index` of the organ; the record learns what trained of it.
void add_layer(const TrainedRun& run, std::uint64_t index, format::OrganWriter& writer,
               format::TrainingRecord& record) {
  std::vector<format::TensorSource> sources;
  for (const auto& tensor : stored_tensors(run, run.inputs.settings.layers.first + index)) {
    const std::string name = fmt::format("layer.{:02}/{}", index, tensor.info.name);
    record.trained_tensors.push_back(name);
    record.changes.push_back(measure_change(run, tensor, name));
    sources.push_back(source_of(tensor));
  }
  writer.add_tensors(format::Manifest::layer_file_name(index), format::FileRole::layer,
                     std::move(sources),
                     {{"format", "pt"}, {"organ.layer", std::to_string(index)}});
}

}  // namespace

void check_organ(const TrainInputs& inputs, const OrganIdentity& identity) {
  const format::LayerRange layers = inputs.settings.layers;
  format::Manifest words;
  add_identity(identity, words);
  words.extraction.donor_id = identity.donor_id;
  TrainResult nothing;
  nothing.device = own_device(inputs.settings.machine.device, inputs.settings.place);
  words.training = training_record({inputs, nothing}, identity.data_license);
  for (std::uint64_t i = 0; i < layers.count; ++i) {
    for (const auto& tensor : inputs.checkpoint.layer(layers.first + i)) {
      const std::string name = fmt::format("layer.{:02}/{}", i, tensor.first);
      words.training->trained_tensors.push_back(name);
      words.training->changes.push_back({name, 0.1234567890123456, 0.1234567890123456});
    }
  }
  format::require_manifest_fits(inputs.checkpoint, layers, std::move(words));
}

format::Manifest write_organ(const TrainedRun& run, const OrganIdentity& identity,
                             const std::filesystem::path& out, const Work& work) {
  format::check_name(identity.name);
  const TrainInputs& inputs = run.inputs;
  auto shared = format::shared_sources(inputs.checkpoint);
  require_space(place_of(out).parent_path(), stored_size(run) + format::total_size(shared));
  // The donor's layers are read for their digests, all that is written is read back.
  const Work writing =
      work.phase("writing", format::layers_size(inputs.checkpoint, inputs.settings.layers) +
                                2 * (stored_size(run) + format::total_size(shared)));
  format::Manifest manifest =
      format::draft_manifest(inputs.checkpoint, inputs.settings.layers, identity.donor_id, writing);
  sign_unpacked(run, manifest);
  add_identity(identity, manifest);
  manifest.training = training_record(run, identity.data_license);
  manifest.evaluations = training_evaluations(run);
  add_overlap(inputs.data, manifest);
  format::OrganWriter writer(out, writing);
  writer.no_wider_than(inputs.checkpoint.permissions());
  for (std::uint64_t i = 0; i < inputs.settings.layers.count; ++i) {
    add_layer(run, i, writer, *manifest.training);
  }
  if (!shared.empty()) {
    writer.add_tensors(std::string(format::kSharedFile), format::FileRole::shared,
                       std::move(shared), {{"format", "pt"}});
  }
  writer.add_card(format::model_card(manifest));
  writer.commit(std::move(manifest));
  return format::OrganFolder::open(out).manifest();
}

}  // namespace organ::train
