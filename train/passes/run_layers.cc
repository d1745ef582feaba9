// SPDX-License-Identifier: Apache-2.0
#include "train/passes/run_layers.h"

namespace organ::train {

at::Tensor run_layers(Model& model, ModelBatch& batch, at::Tensor x, std::int64_t first,
                      std::int64_t last) {
  for (std::int64_t layer = first; layer < last; ++layer) {
    x = model.forward_layer(layer, x, batch, nullptr);
  }
  return x;
}

at::Tensor embed_and_run(Model& model, const Batch& batch, std::int64_t first, std::int64_t last) {
  ModelBatch open = model.open(batch);
  return run_layers(model, open, model.embed(open), first, last);
}

at::Tensor run_model(Model& model, const Batch& batch) {
  return embed_and_run(model, batch, 0, model.layer_count());
}

at::Tensor stack_input(Model& model, const Batch& batch) {
  return embed_and_run(model, batch, 0, model.place_of(0));
}

}  // namespace organ::train
