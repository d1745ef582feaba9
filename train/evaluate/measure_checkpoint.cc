// SPDX-License-Identifier: Apache-2.0
#include "train/evaluate/measure_checkpoint.h"

#include <algorithm>

#include "format/base/error.h"
#include "format/checkpoint/folder_rules.h"
#include "train/adapter/adapter.h"
#include "train/evaluate/internal/evaluate.h"
#include "train/evaluate/internal/evaluation_batches.h"
#include "train/machine/start_machine.h"
#include "train/model/adapter_binding.h"
#include "train/model/model.h"
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

Measurement measure_on(at::Device device, const format::Checkpoint& checkpoint, Precision precision,
                       const Dataset& data, const EvaluationOptions& options,
                       const std::optional<Adapter>& adapter) {
  Model model = Model::load(checkpoint, {.precision = precision, .device = device});
  if (adapter) {
    bind_adapter(model, *adapter, make_buffers(*adapter, model, false));
  }
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

}  // namespace

Measurement measure_checkpoint(const format::Checkpoint& checkpoint, Precision precision,
                               const MachineChoice& machine, const Dataset& data,
                               const EvaluationOptions& options,
                               const std::filesystem::path& adapter) {
  std::error_code absent;  // reading it says so
  const bool own =
      !adapter.empty() && std::filesystem::equivalent(adapter, checkpoint.folder(), absent);
  if (!own) format::require_no_own_adapter(checkpoint.folder());
  std::optional<Adapter> read;
  if (!adapter.empty()) read = read_adapter(adapter, checkpoint.architecture());
  return on_machine(machine, 1, [&](at::Device device) {
    return measure_on(device, checkpoint, precision, data, options, read);
  });
}

}  // namespace organ::train
