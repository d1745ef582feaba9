// SPDX-License-Identifier: Apache-2.0
// The numbers of a layer: where they lie, and where their gradients go.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace organ::train {

// Some weights of a layer and the place for their gradient.
struct Parameter {
  at::Tensor value;     // working; undefined: the layer has none
  at::Tensor gradient;  // fp32, the same shape; undefined: frozen
};

// How Hugging Face stores the matrix: Linear, y = x W^T + b, or GPT-2's Conv1D, y = x W + b.
enum class Orientation : std::uint8_t { out_in, in_out };

// Where the tensors of one layer lie in one flat run of numbers, so that parameters, gradients
// and optimiser moments of all trained layers are single contiguous buffers.
struct ParameterSlot {
  std::string name;  // relative to the layer: self_attn.q_proj.weight
  std::vector<std::int64_t> shape;
  std::int64_t offset = 0;  // elements from the start of the layer's run
  std::int64_t elements = 0;
  bool decay = true;  // weight decay applies (2-D tensors)
};

// The trainable storage of one layer: views of the trainer's flat buffers, each one layer long.
struct LayerStorage {
  at::Tensor working;   // the model's precision [elements]; what forward reads
  at::Tensor gradient;  // fp32 [elements]; backward adds to it
};

}  // namespace organ::train
