// SPDX-License-Identifier: Apache-2.0
#include "train/evaluate/measure_checkpoint.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "format/base/error.h"
#include "format/checkpoint/folder_rules.h"
#include "train/adapter/adapter.h"
#include "train/evaluate/internal/evaluate.h"
#include "train/evaluate/internal/evaluation_batches.h"
#include "train/machine/start_machine.h"
#include "train/model/adapter_binding.h"
#include "train/model/model.h"
#include "train/model/model_access.h"
#include "train/passes/batches.h"
#include "train/probes/data_probes.h"
#include "train/probes/finding.h"
#include "train/probes/finite_tensor.h"
#include "train/probes/model_probes.h"
#include "train/probes/padding_ids.h"

namespace organ::train {

namespace {

ProbeLayers whole(const Model& model) { return {0, model.layer_count()}; }

// The self-tests over the first rows as the protocol builds them.
std::vector<ProbeFinding> diagnose(Model& model, const Dataset& data,
                                   const EvaluationOptions& options) {
  constexpr std::size_t kRows = 8;
  const auto rows = evaluation_rows(data, options);
  const std::int64_t padding[] = {options.padding_id};
  return run_probes(model, whole(model),
                    make_batch(data, options, std::span(rows).first(std::min(kRows, rows.size()))),
                    padding);
}

// `adapter` may be null.
Measurement measure(Model model, const format::Checkpoint& checkpoint, const Dataset& data,
                    const EvaluationOptions& options, const Adapter* adapter) {
  if (adapter != nullptr) bind_adapter(model, *adapter, make_buffers(*adapter, model, false));
  const std::int64_t window = data.fullest_window();
  Measurement measurement;
  const auto padding = padding_ids(checkpoint);
  measurement.probes = run_probes(model, whole(model), make_batch(data, {&window, 1}), padding);
  measurement.probes.push_back(probe_trailing_padding(data.stream(), padding));
  name_tensor(measurement.probes, checkpoint);
  require_passed(measurement.probes);
  measurement.result = evaluate(model, data, options);
  if (!is_diagnostic(options.protocol)) return measurement;
  EvaluationOptions sound = options;
  sound.protocol = Protocol::p0;
  measurement.sound = evaluate(model, data, sound);
  measurement.diagnosis = diagnose(model, data, options);
  return measurement;
}

// Throws for one in the model's own folder that is not asked for.
std::optional<Adapter> wanted_adapter(const format::Checkpoint& checkpoint,
                                      const std::filesystem::path& adapter) {
  std::error_code absent;  // reading it says so
  const bool own =
      !adapter.empty() && std::filesystem::equivalent(adapter, checkpoint.folder(), absent);
  if (!own) format::require_no_own_adapter(checkpoint.folder());
  if (adapter.empty()) return std::nullopt;
  return read_adapter(adapter, checkpoint.architecture());
}

}  // namespace

Measurement measure_checkpoint(const format::Checkpoint& checkpoint, Precision precision,
                               const MachineChoice& machine, const Dataset& data,
                               const EvaluationOptions& options,
                               const std::filesystem::path& adapter) {
  const auto read = wanted_adapter(checkpoint, adapter);
  return on_machine(machine, 1, [&](at::Device device) {
    return measure(Model::load(checkpoint, {.precision = precision, .device = device}), checkpoint,
                   data, options, read ? &*read : nullptr);
  });
}

Measurement measure_model(const LoadedModel& model, const Dataset& data,
                          const EvaluationOptions& options, const std::filesystem::path& adapter) {
  const format::Checkpoint& checkpoint = model.checkpoint();
  const auto read = wanted_adapter(checkpoint, adapter);
  return with_share(model, [&](Model share) {
    return measure(std::move(share), checkpoint, data, options, read ? &*read : nullptr);
  });
}

}  // namespace organ::train
