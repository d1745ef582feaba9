// SPDX-License-Identifier: Apache-2.0
#include "train/passes/loss_path.h"
#include "train/passes/run_layers.h"

#include <utility>
#include <vector>

#include <ATen/ATen.h>

namespace organ::train {
LossSum LossPath::accumulate_gradient(at::Tensor x, const Batch& batch, double scale) {
  const bool recompute = activations_ == Activations::recomputed;
  const auto count = static_cast<std::size_t>(top_ - first_);
  ModelBatch open = model_.open(batch);
  std::vector<LayerTapePtr> tapes(count);
  std::vector<at::Tensor> inputs(recompute ? count : 0);
  for (std::size_t i = 0; i < count; ++i) {
    if (recompute) inputs[i] = x;
    x = model_.forward_layer(first_ + static_cast<std::int64_t>(i), x, open,
                             recompute ? nullptr : &tapes[i]);
  }
  at::Tensor gradient;
  const LossSum sum = model_.head_loss(x, batch, scale, &gradient);
  x.reset();
  for (std::size_t i = count; i-- > 0;) {
    const std::int64_t layer = first_ + static_cast<std::int64_t>(i);
    if (recompute) model_.forward_layer(layer, std::exchange(inputs[i], {}), open, &tapes[i]);
    gradient = model_.backward_layer(layer, gradient, std::move(tapes[i]), open,
                                     i > 0 || model_.embedding_trains());
  }
  if (model_.embedding_trains()) model_.backward_embed(gradient, open);
  return sum;
}

LossSum LossPath::loss(at::Tensor x, const Batch& batch) {
  ModelBatch open = model_.open(batch);
  return model_.head_loss(run_layers(model_, open, std::move(x), first_, top_), batch);
}

double LossPath::flops_per_row(std::int64_t length, std::int64_t source) const {
  double sum = 0;
  const std::int64_t positions = length + model_.virtual_tokens();
  for (std::int64_t layer = first_; layer < top_; ++layer) {
    const auto products = static_cast<double>(model_.row_multiplications(layer, positions, source));
    sum += 2 * products * (layer < last_ ? 3 : 2);
  }
  const auto head = static_cast<double>(model_.vocab_size() * model_.hidden_size());
  return sum + (model_.ends_train() ? 6 : 4) * head * static_cast<double>(length - source);
}

}  // namespace organ::train
