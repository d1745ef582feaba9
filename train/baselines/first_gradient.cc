// SPDX-License-Identifier: Apache-2.0
#include "train/baselines/internal/first_gradient.h"

#include "train/passes/batches.h"
#include "train/passes/loss_path.h"
#include "train/passes/run_layers.h"
#include "train/trainer/batch_order.h"

namespace organ::train {

at::Tensor first_gradient(Model& model, const TrainedParameters& whole,
                          const TrainSettings& settings, const Dataset& data) {
  LossPath path(model, model.place_of(0), model.place_of(model.architecture().layer_count()),
                model.layer_count());
  const auto windows = BatchOrder(settings.seed, data.windows()).step(0, settings.rows_per_step());
  for (const std::int64_t window : windows) {
    const Batch batch = make_batch(data, {&window, 1});
    path.accumulate_gradient(stack_input(model, batch), batch, 1);
  }
  return whole.tensors().gradient.cpu();
}

}  // namespace organ::train
