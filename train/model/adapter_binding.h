// SPDX-License-Identifier: Apache-2.0
// An adapter's numbers put to work in a model.
#pragma once

#include <ATen/core/Tensor.h>

#include "train/adapter/adapter.h"
#include "train/model/model.h"

namespace organ::train {

// The flat run of an adapter's numbers as tensors.
struct AdapterBuffers {
  at::Tensor master;    // fp32 [elements]
  at::Tensor working;   // the model's precision [elements]; master itself in fp32
  at::Tensor gradient;  // fp32 [elements]; undefined: the adapter does not train
};

// Buffers that hold the adapter's values, of the precision and on the device of the model. The
// gradient, where it trains, is zero. Copies: the adapter is read once.
AdapterBuffers make_buffers(const Adapter& adapter, const Model& model, bool trains);

// From now on the model computes with the numbers in the buffers, and its backward adds to their
// gradient. IA3 vectors are read from master, matrices from working. What is bound are views that
// keep the buffers' memory; write to it in place, and round `master` to `working` after each
// change. Throws incompatible for an encoder-decoder, and as Model::adapt_layer does.
void bind_adapter(Model& model, const Adapter& adapter, const AdapterBuffers& buffers);

}  // namespace organ::train
