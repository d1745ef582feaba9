// SPDX-License-Identifier: Apache-2.0
#include "train/baselines/internal/first_gradient.h"

#include <cmath>

#include <ATen/Parallel.h>

#include "format/base/error.h"
#include "train/optimize/flat_optimizer.h"
#include "train/passes/batches.h"
#include "train/passes/loss_path.h"
#include "train/passes/run_layers.h"
#include "train/trainer/batch_order.h"

namespace organ::train {

at::Tensor first_gradient(Model& model, const TrainedParameters& whole,
                          const TrainSettings& settings, const Dataset& data) {
  LossPath path(model, model.place_of(0), model.place_of(model.architecture().layer_count()),
                model.layer_count());
  BatchOrder order(settings.seed, data.windows(), settings.draw);
  const auto windows = order.step(0, settings.rows_per_step());
  const auto epochs = order.epochs(0, settings.rows_per_step());
  for (std::size_t row = 0; row < windows.size(); ++row) {
    const Batch batch = make_batch(data, {&windows[row], 1}, {&epochs[row], 1});
    path.accumulate_gradient(stack_input(model, batch), batch, 1);
  }
  at::Tensor gradient = whole.tensors().gradient.cpu();
  if (!std::isfinite(global_norm(gradient, static_cast<unsigned>(at::get_num_threads())))) {
    throw Error(ErrorCode::device, "training: the gradient of the first step is not finite",
                "organ eval of the model on the same data says whether its loss is a number");
  }
  return gradient;
}

}  // namespace organ::train
