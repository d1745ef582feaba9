// SPDX-License-Identifier: Apache-2.0
// The baseline top_k_layers: which layers the loss asks most to change, and their training.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <thread>

#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include "format/base/fail.h"
#include "train/baselines/baselines.h"
#include "train/baselines/report.h"
#include "train/data/batch_order.h"
#include "train/kernels/dispatch.h"
#include "train/machine/memory.h"
#include "train/machine/torch_device.h"
#include "train/optimize/flat_layers.h"
#include "train/optimize/trained_parameters.h"
#include "train/passes/batches.h"
#include "train/passes/loss_path.h"
#include "train/trainer/run_training.h"
#include "train/passes/run_layers.h"

namespace organ::train {

namespace {

std::vector<double> magnitudes_on(at::Device device, const format::Checkpoint& checkpoint,
                                  const TrainSettings& settings, const Dataset& data) {
  Model model = Model::load(checkpoint, {.precision = settings.precision, .device = device});
  const std::uint64_t layers = checkpoint.architecture().layer_count();
  FlatLayers whole(model, {0, layers}, false);
  LossPath stack(model, model.place_of(0), model.place_of(layers), model.layer_count());
  const auto windows = BatchOrder(settings.seed, data.windows()).step(0, settings.rows_per_step());
  for (const std::int64_t window : windows) {
    const Batch batch = make_batch(data, {&window, 1});
    stack.accumulate_gradient(stack_input(model, batch), batch, 1);
  }
  const at::Tensor on_host = whole.tensors().gradient.cpu();
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
  const c10::NoGradGuard no_grad;
  keep_large_blocks();
  at::set_num_threads(static_cast<int>(
      settings.threads ? settings.threads : std::max(1u, std::thread::hardware_concurrency())));
  const at::Device device = open_device(settings.device);
  std::vector<double> magnitudes;
  with_device_errors(device,
                     [&] { magnitudes = magnitudes_on(device, checkpoint, settings, data); });
  return magnitudes;
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

TrainResult train_chosen_layers(const format::Checkpoint& checkpoint, const TrainSettings& settings,
                                std::span<const std::uint64_t> layers, const Dataset& data,
                                const Dataset* held_out, TrainObserver& observer) {
  return run_training(checkpoint, settings, data, held_out, observer, [&](Model& model) {
    return std::make_unique<FlatLayers>(model, layers, settings.decay_all);
  });
}

}  // namespace organ::train
