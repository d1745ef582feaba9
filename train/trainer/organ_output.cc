// SPDX-License-Identifier: Apache-2.0
#include "train/trainer/organ_output.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <deque>
#include <numbers>
#include <span>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "format/architecture/unpacked_tensors.h"
#include "format/base/fail.h"
#include "format/base/json.h"
#include "format/checkpoint/checkpoint_copy.h"
#include "format/manifest/evaluation_json.h"
#include "format/manifest/model_card.h"
#include "format/manifest/reference.h"
#include "format/organ/extraction.h"
#include "format/organ/organ_source.h"
#include "format/organ/organ_writer.h"
#include "format/tensor/stored_values.h"
#include "train/evaluate/protocol.h"
#include "train/kernels/elementwise.h"
#include "train/machine/software.h"
#include "train/weights/stored_weights.h"

namespace organ::train {
namespace {

// One trained tensor in its stored type.
struct StoredTensor {
  const TrainedTensor* trained;
  format::TensorInfo info;  // name relative to the layer
  std::vector<std::byte> bytes;
  format::TensorChange change;
};

std::string change_name(std::uint64_t layer, std::string_view tensor) {
  return fmt::format("layer.{:02}/{}", layer, tensor);
}

double rms(std::span<const float> values) {
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value) * value;
  return values.empty() ? 0 : std::sqrt(sum / static_cast<double>(values.size()));
}

// r = rms(change) / rms(before), on the stored values.
format::TensorChange measure_change(std::string name, std::span<const float> before,
                                    std::span<const float> after) {
  std::vector<float> difference(before.size());
  std::size_t unchanged = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    difference[i] = after[i] - before[i];
    unchanged += std::bit_cast<std::uint32_t>(before[i]) == std::bit_cast<std::uint32_t>(after[i]);
  }
  const double weight = rms(before);
  return {std::move(name), weight > 0 ? rms(difference) / weight : rms(difference),
          static_cast<double>(unchanged) /
              static_cast<double>(std::max<std::size_t>(1, before.size()))};
}

bool is_outside(const TrainedTensor& tensor) { return tensor.layer == TrainedTensor::kOutside; }

// The numbers of a tensor before training.
std::vector<float> read_before(const TrainedRun& run, const StoredLayer& layer,
                               const TrainedTensor& tensor) {
  at::Tensor values = kernels::empty({static_cast<std::int64_t>(tensor.values.size())}, at::kFloat);
  if (is_outside(tensor)) {
    read_weights(run.checkpoint, run.checkpoint.locate(tensor.name), values);
  } else {
    read_layer_tensor(run.checkpoint, layer, tensor.name, values);
  }
  const float* data = values.const_data_ptr<float>();
  return {data, data + tensor.values.size()};
}

// How a trained tensor is stored: as the donor's, or what training sees of the donor's.
format::TensorInfo stored_info(const TrainedRun& run, const StoredLayer& layer,
                               const TrainedTensor& tensor) {
  if (is_outside(tensor)) return *run.checkpoint.locate(tensor.name).tensor;
  const auto tensors = format::unpacked_tensors(run.checkpoint.architecture().tensors());
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const auto& each) { return each.name == tensor.name; });
  check(found != tensors.end(), "a trained tensor is none of its layer");
  format::TensorInfo info{tensor.name, trained_type(layer, tensor.name), found->shape, 0, 0};
  info.size = format::byte_size(info.dtype, info.shape, quote(info.name));
  return info;
}

StoredTensor store(const TrainedRun& run, const TrainedTensor& tensor) {
  const bool outside = is_outside(tensor);
  const auto layer = outside ? StoredLayer() : run.checkpoint.layer(tensor.layer);
  StoredTensor stored{
      .trained = &tensor, .info = stored_info(run, layer, tensor), .bytes = {}, .change = {}};
  stored.bytes = format::stored_bytes(stored.info, tensor.values);
  const std::string name =
      outside ? tensor.name : change_name(tensor.layer - run.settings.layers.first, tensor.name);
  stored.change = measure_change(name, read_before(run, layer, tensor),
                                 format::floats_of(stored.info, stored.bytes));
  return stored;
}

// What was MXFP4 is trained and stored as plain numbers: the organ's layers are those of a model
// that is not packed.
void sign_unpacked(const TrainedRun& run, format::Manifest& manifest) {
  const format::Architecture& architecture = run.checkpoint.architecture();
  if (!architecture.spec().experts.mxfp4) return;
  Json fields = json_of(manifest.architecture.layer);
  fields["tensors"] = Json::object();
  for (const auto& tensor : format::unpacked_tensors(architecture.tensors())) {
    fields["tensors"][tensor.name] = tensor.shape;
  }
  manifest.architecture.layer = json_text(fields);
  manifest.architecture.signature = format::Architecture::signature(manifest.architecture.layer);
}

// A deque: sources borrow the bytes of its elements.
std::deque<StoredTensor> store_all(const TrainedRun& run) {
  std::deque<StoredTensor> all;
  for (const auto& tensor : run.result.tensors) all.push_back(store(run, tensor));
  return all;
}

format::TrainingRecord training_record(const TrainedRun& run,
                                       const std::deque<StoredTensor>& tensors,
                                       const std::optional<std::string>& data_license) {
  format::TrainingRecord record;
  record.mode = to_string(run.settings.mode);
  record.head = run.checkpoint.tied_head() ? "tied" : "frozen";
  Json settings = json_of(hyperparameters(run.settings));
  settings["steps_done"] = run.result.steps;
  settings["steps_skipped"] = run.result.skipped;
  settings["published_weights"] = to_string(run.result.published);
  settings["published_step"] = run.result.published_step;
  record.hyperparameters = json_text(settings);
  record.seed = run.settings.seed;
  for (const auto& file : run.data.files()) {
    record.data.push_back({file.name, file.digest, file.tokens, data_license});
  }
  record.software = software_versions(run.settings.device);
  record.wall_milliseconds = run.result.milliseconds;
  for (const auto& tensor : tensors) {
    record.trained_tensors.push_back(tensor.change.tensor);
    record.changes.push_back(tensor.change);
  }
  return record;
}

format::Evaluation evaluation_of(const TrainedRun& run, std::string_view subject,
                                 const HeldOutLoss& loss) {
  const Dataset& data = *run.held_out;
  format::Evaluation evaluation;
  evaluation.subject = subject;
  evaluation.protocol = to_string(protocol_of(data.task()).value_or(Protocol::p0));
  evaluation.context = static_cast<std::uint64_t>(data.context());
  evaluation.stride = evaluation.context;
  evaluation.tokens = static_cast<std::uint64_t>(loss.targets);
  evaluation.nll = loss.nll;
  evaluation.perplexity = std::exp(loss.nll);
  if (data.text_bytes() && data.task() == Task::next_token) {
    const double tokens_per_byte =
        static_cast<double>(data.tokens()) / static_cast<double>(*data.text_bytes());
    evaluation.bits_per_byte = loss.nll / std::numbers::ln2 * tokens_per_byte;
  }
  evaluation.dataset = data.files().front().name;
  if (data.files().size() > 1) {
    evaluation.dataset += fmt::format(" and {} more", data.files().size() - 1);
  }
  evaluation.dataset_digest = data.digest();
  evaluation.tokenizer_digest = run.tokenizer;
  return evaluation;
}

Json recovery_record(const TrainedRun& run, const std::deque<StoredTensor>& tensors) {
  Json evaluations = Json::array();
  for (const auto& e : recovery_evaluations(run)) evaluations.push_back(to_json(e));
  Json data = Json::array();
  for (const auto& file : run.data.files()) {
    data.push_back(
        {{"name", file.name}, {"digest", file.digest.to_string()}, {"tokens", file.tokens}});
  }
  Json changes = Json::array();
  for (const auto& tensor : tensors) {
    changes.push_back(
        {{"tensor", fmt::format("layer.{:02}/{}", tensor.trained->layer, tensor.info.name)},
         {"relative_rms", real_to_hex(tensor.change.relative_rms)},
         {"unchanged_fraction", real_to_hex(tensor.change.unchanged_fraction)}});
  }
  return {{"schema_version", 1},
          {"created", format::creation_time()},
          {"first_layer", run.settings.layers.first},
          {"layer_count", run.settings.layers.count},
          {"hyperparameters", json_of(hyperparameters(run.settings))},
          {"seed", run.settings.seed},
          {"steps_done", run.result.steps},
          {"steps_skipped", run.result.skipped},
          {"published_weights", to_string(run.result.published)},
          {"published_step", run.result.published_step},
          {"wall_milliseconds", run.result.milliseconds},
          {"software", software_versions(run.settings.device)},
          {"data", data},
          {"changes", changes},
          {"evaluations", evaluations}};
}

void copy_checkpoint(const TrainedRun& run, const std::deque<StoredTensor>& tensors,
                     const std::filesystem::path& out, std::string_view record_name,
                     std::string_view record) {
  const format::Checkpoint& checkpoint = run.checkpoint;
  std::vector<format::ReplacedTensor> replaced;
  const auto replace = [&](const format::Checkpoint::Location& location, const auto& bytes) {
    replaced.push_back({location.shard, format::memory_source(*location.tensor, bytes)});
  };
  const std::string embedding = checkpoint.full_name(checkpoint.architecture().layout().embedding);
  for (const auto& tensor : tensors) {
    const std::string& name = tensor.info.name;
    if (!is_outside(*tensor.trained)) {
      replace(checkpoint.layer(tensor.trained->layer).at(name), tensor.bytes);
      continue;
    }
    replace(checkpoint.locate(name), tensor.bytes);
    // A tied head may lie in the files once more.
    const auto head = checkpoint.find(checkpoint.architecture().layout().head);
    if (name == embedding && head && checkpoint.tied_head()) replace(*head, tensor.bytes);
  }
  format::copy_checkpoint_with(run.checkpoint, std::move(replaced), out, record_name, record);
}

}  // namespace

std::vector<format::Evaluation> training_evaluations(const TrainedRun& run) {
  std::vector<format::Evaluation> all;
  if (run.result.before) {
    all.push_back(evaluation_of(run, "recipient_untouched", *run.result.before));
  }
  if (run.result.after) {
    all.push_back(evaluation_of(run, "as_transplanted", *run.result.after));
    all.back().position = run.settings.layers.first;
  }
  if (run.result.wrapper) all.push_back(evaluation_of(run, "wrapper", *run.result.wrapper));
  return all;
}

std::vector<format::Evaluation> recovery_evaluations(const TrainedRun& run) {
  std::vector<format::Evaluation> all;
  if (run.result.before) all.push_back(evaluation_of(run, "as_transplanted", *run.result.before));
  if (run.result.after) all.push_back(evaluation_of(run, "after_recovery", *run.result.after));
  return all;
}

format::Manifest write_organ(const TrainedRun& run, const OrganIdentity& identity,
                             const std::filesystem::path& out) {
  format::check_name(identity.name);
  const auto tensors = store_all(run);
  format::Manifest manifest =
      format::draft_manifest(run.checkpoint, run.settings.layers, identity.donor_id);
  sign_unpacked(run, manifest);
  manifest.name = identity.name;
  manifest.version = format::Version::parse(identity.version).to_string();
  manifest.description = identity.description;
  manifest.license = identity.license;
  manifest.training = training_record(run, tensors, identity.data_license);
  manifest.evaluations = training_evaluations(run);
  format::OrganWriter writer(out);
  for (std::uint64_t i = 0; i < run.settings.layers.count; ++i) {
    std::vector<format::TensorSource> sources;
    for (const auto& tensor : tensors) {
      if (tensor.trained->layer != run.settings.layers.first + i) continue;
      sources.push_back(format::memory_source(tensor.info, tensor.bytes));
    }
    writer.add_tensors(format::Manifest::layer_file_name(i), format::FileRole::layer,
                       std::move(sources), {{"format", "pt"}, {"organ.layer", std::to_string(i)}});
  }
  if (auto shared = format::shared_sources(run.checkpoint); !shared.empty()) {
    writer.add_tensors(std::string(format::kSharedFile), format::FileRole::shared,
                       std::move(shared), {{"format", "pt"}});
  }
  writer.add_card(format::model_card(manifest));
  writer.commit(std::move(manifest));
  return format::OrganFolder::open(out).manifest();
}

void check_recoverable(const format::Checkpoint& checkpoint) {
  if (!checkpoint.architecture().spec().experts.mxfp4) return;
  throw Error(ErrorCode::incompatible,
              fmt::format("{}: has MXFP4 experts and cannot hold trained ones beside them",
                          quote(checkpoint.folder().string())),
              "organ train makes an organ that holds the trained experts as BF16");
}

void write_trained_checkpoint(const TrainedRun& run, const std::filesystem::path& out,
                              std::string_view record_name, std::string_view record) {
  copy_checkpoint(run, store_all(run), out, record_name, record);
}

void write_recovered_checkpoint(const TrainedRun& run, const std::filesystem::path& out) {
  const auto tensors = store_all(run);
  copy_checkpoint(run, tensors, out, "recovery.json", pretty_json(recovery_record(run, tensors)));
}

}  // namespace organ::train
