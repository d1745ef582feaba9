// SPDX-License-Identifier: Apache-2.0
#include "train/baselines/report.h"

#include <nlohmann/json.hpp>

#include "format/base/file.h"
#include "format/base/json.h"
#include "format/base/new_folder.h"
#include "format/manifest/evaluation_json.h"
#include "train/machine/memory.h"
#include "train/trainer/recovered_checkpoint.h"
#include "train/trainer/run_evaluations.h"
#include "train/trainer/run_overlap.h"

namespace organ::train {
namespace {

std::uint64_t parameters_of(const format::Checkpoint& checkpoint) {
  std::uint64_t parameters = 0;
  for (const auto& shard : checkpoint.shards()) {
    for (const auto& tensor : shard.file.header().tensors) {
      parameters += tensor.size * 8 / format::bit_width(tensor.dtype);
    }
  }
  return parameters;
}

}  // namespace

BaselineReport make_baseline_report(std::string method, std::string config, const TrainedRun& run) {
  const TrainInputs& inputs = run.inputs;
  BaselineReport report;
  report.method = std::move(method);
  report.config = std::move(config);
  report.hyperparameters = hyperparameters(inputs.settings, inputs.data.training);
  report.seed = inputs.settings.seed;
  report.data = inputs.data.training.stream().files();
  report.trainable = run.result.trainable;
  report.model_parameters = parameters_of(inputs.checkpoint);
  report.steps = run.result.steps;
  report.skipped = run.result.skipped;
  report.tokens = run.result.steps * static_cast<std::uint64_t>(inputs.settings.rows_per_step() *
                                                                inputs.data.training.context());
  report.flops_per_token = run.result.flops_per_token;
  report.milliseconds = run.result.milliseconds;
  report.peak_memory = peak_resident_bytes();
  report.peak_device = peak_device_bytes(run.result.device);
  report.evaluations = training_evaluations(run);
  report.stack = inputs.checkpoint.architecture().stack();
  report.overlap = run_overlap(inputs.data);
  for (auto& evaluation : report.evaluations) {
    if (evaluation.subject == "as_transplanted") evaluation.subject = "after_training";
  }
  return report;
}

Json to_json(const BaselineReport& r) {
  Json evaluations = Json::array();
  for (const auto& e : r.evaluations) {
    evaluations.push_back({{"subject", e.subject},
                           {"protocol", e.protocol},
                           {"context", e.context},
                           {"stride", e.stride},
                           {"tokens", e.tokens},
                           {"nll", e.nll},
                           {"ppl", e.perplexity},
                           {"bits_per_byte", e.bits_per_byte ? Json(*e.bits_per_byte) : Json()},
                           {"dataset_digest", e.dataset_digest.to_string()}});
    format::add_conditions(evaluations.back(), e);
  }
  Json data = Json::array();
  for (const DataFile& file : r.data) {
    data.push_back(
        {{"name", file.name}, {"digest", file.digest.to_string()}, {"tokens", file.tokens}});
  }
  Json record = {{"method", r.method},
                 {"hyperparameters", json_of(r.hyperparameters)},
                 {"seed", r.seed},
                 {"data", data},
                 {"config", parse_json(r.config, {.reals = true}, "configuration")},
                 {"trainable_parameters", r.trainable},
                 {"model_parameters", r.model_parameters},
                 {"trainable_share",
                  static_cast<double>(r.trainable) / static_cast<double>(r.model_parameters)},
                 {"steps", r.steps},
                 {"skipped", r.skipped},
                 {"tokens", r.tokens},
                 {"flops_per_token", r.flops_per_token},
                 {"wall_milliseconds", r.milliseconds},
                 {"peak_memory_bytes", r.peak_memory ? Json(*r.peak_memory) : Json()},
                 {"evaluations", evaluations}};
  if (r.peak_device) record["peak_device_bytes"] = *r.peak_device;
  if (!r.stack.empty()) record["stack"] = r.stack;
  if (r.overlap) record["held_out_overlap"] = json_of(format::overlap_text(*r.overlap));
  return record;
}

namespace {

std::string record_text(const BaselineReport& report) {
  Json record = to_json(report);
  record["schema_version"] = 1;
  return pretty_json(record);
}

}  // namespace

void write_adapter_baseline(const BaselineReport& report, const Adapter& adapter,
                            const format::Checkpoint& checkpoint, const std::filesystem::path& out,
                            const Work& work) {
  NewFolder folder(out);
  folder.no_wider_than(checkpoint.folder_permissions());
  write_adapter(adapter, checkpoint.architecture(), folder.path(), checkpoint.permissions(), work);
  write_file(folder.path() / kBaselineRecord, record_text(report));
  folder.commit();
}

void write_checkpoint_baseline(const BaselineReport& report, const TrainedRun& run,
                               const std::filesystem::path& out, const Work& work) {
  write_trained_checkpoint(run, out, kBaselineRecord, record_text(report), work);
}

}  // namespace organ::train
