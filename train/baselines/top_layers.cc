// SPDX-License-Identifier: Apache-2.0
// The baseline top_k_layers: which layers the loss asks most to change, and their training.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "format/base/fail.h"
#include "train/baselines/baselines.h"
#include "train/baselines/internal/first_gradient.h"
#include "train/kernels/dispatch.h"
#include "train/optimize/flat_layers.h"
#include "train/passes/run_layers.h"
#include "train/processes/own_machine.h"
#include "train/trainer/run_training.h"

namespace organ::train {
namespace {

std::vector<double> magnitudes_on(at::Device device, const format::Checkpoint& checkpoint,
                                  const TrainSettings& settings, const Dataset& data) {
  Model model = Model::load(checkpoint, {.precision = settings.precision, .device = device});
  const FlatLayers whole(model, checkpoint, {0, checkpoint.architecture().layer_count()}, false);
  const at::Tensor on_host = first_gradient(model, whole, settings, data);
  const std::span<const float> gradient = host_floats(on_host);
  const auto elements = static_cast<std::size_t>(model.layer_elements());
  std::vector<double> magnitudes;
  for (std::size_t start = 0; start < gradient.size(); start += elements) {
    double sum = 0;
    for (const float value : gradient.subspan(start, elements)) {
      sum += std::abs(static_cast<double>(value));
    }
    magnitudes.push_back(sum / static_cast<double>(elements));
  }
  return magnitudes;
}

}  // namespace

std::vector<double> gradient_magnitudes(const format::Checkpoint& checkpoint,
                                        const TrainSettings& settings, const Dataset& data) {
  return on_own_machine(settings.machine, settings.place, [&](const Device&, at::Device device) {
    return magnitudes_on(device, checkpoint, settings, data);
  });
}

std::vector<std::uint64_t> top_layers(std::span<const double> magnitudes, std::uint64_t count) {
  if (count < 1 || count > magnitudes.size()) {
    fail(ErrorCode::invalid_argument, "--count: {} is out of range, expected 1 to {}", count,
         magnitudes.size());
  }
  std::vector<std::uint64_t> layers(magnitudes.size());
  std::iota(layers.begin(), layers.end(), 0);
  std::stable_sort(layers.begin(), layers.end(),
                   [&](auto a, auto b) { return magnitudes[a] > magnitudes[b]; });
  layers.resize(count);
  std::sort(layers.begin(), layers.end());
  return layers;
}

TrainResult train_chosen_layers(const TrainInputs& inputs, std::span<const std::uint64_t> layers) {
  return run_training(inputs, [&](Model& model) {
    return std::make_unique<FlatLayers>(model, inputs.checkpoint, layers,
                                        inputs.settings.decay_all);
  });
}

}  // namespace organ::train
