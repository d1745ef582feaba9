// SPDX-License-Identifier: Apache-2.0
// The stacks of a model: an encoder-decoder has two, every other one.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "format/checkpoint/checkpoint.h"
#include "train/positions/relative_bias.h"
#include "train/weights/geometry.h"
#include "train/weights/layer_parameters.h"
#include "train/weights/normalization.h"

namespace organ::train {

// What the layers of one stack share: their maths, how their parameters lie in memory, and what all
// of them read. The shared table of position biases never trains: it belongs to the whole stack.
struct Stack {
  // `first`: how many of the model's layers run before this stack's; `device`: where the layers
  // run. Throws incompatible for maths that training does not know.
  Stack(const format::Checkpoint& checkpoint, std::int64_t first, at::Device device);

  bool holds(std::int64_t layer) const { return layer >= first && layer < first + count; }
  // See Model::row_multiplications.
  std::int64_t row_multiplications(std::int64_t length, std::int64_t source) const;

  // `names` is a table that lives as long as the program. The layout is that of each layer, in runs
  // of layer_elements numbers; layers first to first + count - 1 of the model are this stack's.
  Geometry geometry;
  const TensorNames& names;
  std::vector<ParameterSlot> layout;
  std::int64_t layer_elements = 0, first = 0, count = 0;
  // Absent where the stack's positions are told in another way.
  std::optional<RelativeBias> relative;
  std::optional<Normalization> closing;  // the norm behind the last layer, of an encoder
};

// A checkpoint as each stack of its model shows it, in the order in which they run. Borrows the
// checkpoint. parts() is good as long as this is.
class OpenStacks {
 public:
  // Throws incompatible for files that hold one stack of two.
  explicit OpenStacks(const format::Checkpoint& checkpoint);
  OpenStacks(const OpenStacks&) = delete;
  std::span<const format::Checkpoint* const> parts() const { return parts_; }

 private:
  std::optional<format::Checkpoint> other_;
  std::vector<const format::Checkpoint*> parts_;
};

// What the head's input is multiplied by: T5 scales it by hidden_size^-0.5, T5 1.1 does not
// (transformers 5.23, configuration_t5).
double head_input_scale(const format::Checkpoint& checkpoint);

}  // namespace organ::train
