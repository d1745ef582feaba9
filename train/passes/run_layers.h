// SPDX-License-Identifier: Apache-2.0
// Layers one after the other, forward alone: nothing is kept for a backward. Streams are fp32
// [tokens, hidden_size], where the model is.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "train/model/model.h"

namespace organ::train {

// The stream behind layers [first, last) of the model, given that which enters them.
at::Tensor run_layers(Model& model, ModelBatch& batch, at::Tensor x, std::int64_t first,
                      std::int64_t last);

// The embedding, then layers [first, last).
at::Tensor embed_and_run(Model& model, const Batch& batch, std::int64_t first, std::int64_t last);

// What the head reads: the embedding, then all layers.
at::Tensor run_model(Model& model, const Batch& batch);

// The stream that enters layer 0 of the checkpoint's stack.
at::Tensor stack_input(Model& model, const Batch& batch);

}  // namespace organ::train
