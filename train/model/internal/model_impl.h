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
  // One loaded layer: its weights, and its maths over views of them. The layer shares the tensors
  // of the other four: numbers written into them are seen, another tensor in their place only after
  // remake_layer().
  struct Slot {
    // Working and fp32 [elements] in storage order; no gradient: the layer is frozen.
    at::Tensor flat, gradient;
    // Empty: none.
    std::vector<AdapterParameters> adapters;
    // See Model::prefix_layer; undefined: none.
    Parameter prefix;
    std::unique_ptr<Layer> layer;
  };

  format::Architecture architecture;
  Options options;
  std::vector<Stack> stacks;  // as they run
  std::size_t own = 0;        // that of the checkpoint
  // Layer first_layer + i is layers[i]: a model may hold a part of them.
  std::int64_t first_layer = 0;
  // Absent only while the model is loaded.
  std::optional<ModelEnds> ends;
  std::vector<Slot> layers;
  // Of the stack that the head reads; absent: its layers rotate nothing.
  std::optional<RopeTables> rope;
  std::int64_t virtual_tokens = 0;  // before each document
  bool virtual_left_out = false;

  Impl(const format::Checkpoint& checkpoint, const Options& chosen);
  // The same weights, shared, under layers and ends of its own. Virtual tokens, adapters and what
  // is bound go with them.
  Impl(const Impl& other);
  Impl& operator=(const Impl&) = delete;

  // `parts`: the model's checkpoint as each of its stacks shows it, as they run.
  void load_stacks(std::span<const format::Checkpoint* const> parts);
  // Puts layer `index` behind those in `layers`. Throws as read_layer_tensor does.
  void load_layer(const format::Checkpoint& part, const Stack& stack, std::int64_t index);

  // Of the stack that the head reads.
  const Geometry& geometry() const { return stacks.back().geometry; }
  // Of the stack that holds layer `index`; throws internal where none does.
  std::size_t stack_number(std::int64_t index) const;
  const Stack& stack_of(std::int64_t index) const { return stacks[stack_number(index)]; }
  at::ScalarType working() const;
  TensorReader reader_of(const format::Checkpoint& checkpoint) const;

  // Throws internal for a layer that was not loaded.
  Slot& slot(std::int64_t index);
  // A layer that trains. Throws internal for one of another stack than the checkpoint's.
  Slot& own_slot(std::int64_t index);
  // After a change of what layer `index` reads or adds to.
  void remake_layer(std::int64_t index);

  // Throws internal for what this model cannot run; incompatible for rows of several documents, or
  // with padding, that are longer than dynamic rope scaling was trained for.
  void check_batch(const Batch& batch) const;
  // Whether layer `index` is the one below the head.
  bool is_last(std::int64_t index) const {
    return index + 1 == stacks.back().first + stacks.back().count;
  }
  // Of layer `index`. Sees to the rotations and position biases of all the batch's positions, which
  // another batch may have left otherwise. Borrows `open`, `cache` and the tables, which the next
  // call may replace.
  Pass pass(std::int64_t index, OpenBatch& open, KeyValues* cache = nullptr);
};

}  // namespace organ::train
