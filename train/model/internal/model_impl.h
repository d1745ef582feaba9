// SPDX-License-Identifier: Apache-2.0
// What a Model holds, for the files that implement it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "train/layers/layer.h"
#include "train/model/internal/ends.h"
#include "train/model/internal/stack.h"
#include "train/model/model.h"

namespace organ::train {

struct Model::Impl {
  // One loaded layer: its weights, and its maths over views of them.
  struct Slot {
    at::Tensor flat, gradient;
    std::vector<AdapterParameters> adapters;
    Parameter prefix;
    std::unique_ptr<Layer> layer;
  };

  format::Architecture architecture;
  Options options;
  std::vector<Stack> stacks;  // as they run
  std::size_t own = 0;        // that of the checkpoint
  std::int64_t first_layer = 0;
  std::optional<ModelEnds> ends;
  std::vector<Slot> layers;
  std::optional<RopeTables> rope;
  std::int64_t virtual_tokens = 0;  // before each document
  bool virtual_left_out = false;

  Impl(const format::Checkpoint& checkpoint, const Options& chosen);
  // The same weights, shared, under layers and ends of its own.
  Impl(const Impl& other);
  Impl& operator=(const Impl&) = delete;

  // `parts`: the model's checkpoint as each of its stacks shows it, as they run.
  void load_stacks(std::span<const format::Checkpoint* const> parts);
  void load_layer(const format::Checkpoint& part, const Stack& stack, std::int64_t index);

  // Of the stack that the head reads.
  const Geometry& geometry() const { return stacks.back().geometry; }
  std::size_t stack_number(std::int64_t index) const;
  const Stack& stack_of(std::int64_t index) const { return stacks[stack_number(index)]; }
  at::ScalarType working() const;
  TensorReader reader_of(const format::Checkpoint& checkpoint) const;

  Slot& slot(std::int64_t index);
  // A layer that trains.
  Slot& own_slot(std::int64_t index);
  // After a change of what layer `index` reads or adds to.
  void remake_layer(std::int64_t index);

  // Throws internal for what this model cannot run.
  void check_batch(const Batch& batch) const;
  // Whether layer `index` is the one below the head.
  bool is_last(std::int64_t index) const {
    return index + 1 == stacks.back().first + stacks.back().count;
  }
  // Of layer `index`. Sees to the rotations and position biases of all the batch's positions, which
  // another batch may have left otherwise.
  Pass pass(std::int64_t index, OpenBatch& open, KeyValues* cache = nullptr);
};

}  // namespace organ::train
