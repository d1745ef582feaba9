// SPDX-License-Identifier: Apache-2.0
// The numbers of a layer: where they lie, and where their gradients go.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace organ::train {

// Some weights of a layer and the place for their gradient: views, which share their memory with
// the run that they lie in. Backward adds to the gradient and never sets it to zero.
struct Parameter {
  at::Tensor value;     // working; undefined: the layer has none
  at::Tensor gradient;  // fp32, the same shape; undefined: frozen
};

// How Hugging Face stores the matrix: Linear, y = x W^T + b, or GPT-2's Conv1D, y = x W + b.
// Experts' matrices lie as those of Conv1D do.
enum class Orientation : std::uint8_t { out_in, in_out };

// Where the tensors of one layer lie in one flat run of numbers, so that parameters, gradients
// and optimiser moments of all trained layers are single contiguous buffers. A tensor lies there
// row by row, in its stored orientation.
struct ParameterSlot {
  std::string name;  // relative to the layer: self_attn.q_proj.weight
  std::vector<std::int64_t> shape;
  std::int64_t offset = 0;  // elements from the start of the layer's run
  std::int64_t elements = 0;
  // Weight decay applies: of two dimensions or more and not called bias.
  bool decay = true;
};

// The trainable storage of one layer: views of the trainer's flat buffers, each one layer long, on
// the model's device.
struct LayerStorage {
  at::Tensor working;   // the model's precision [elements]; what forward reads
  at::Tensor gradient;  // fp32 [elements]; backward adds to it
};

}  // namespace organ::train
