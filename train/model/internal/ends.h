// SPDX-License-Identifier: Apache-2.0
// What is outside of a model's layers: the embedding in front of them, and the norm and head
// behind.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "format/checkpoint/checkpoint.h"
#include "train/model/internal/embedding.h"
#include "train/model/internal/head.h"
#include "train/weights/geometry.h"
#include "train/weights/normalization.h"
#include "train/weights/parameter.h"

namespace organ::train {

// Where the tensors of a checkpoint become those of a model. Borrows the checkpoint. Both functions
// throw as read_tensor does (train/weights/stored_weights.h).
struct TensorReader {
  const format::Checkpoint& checkpoint;
  at::ScalarType type;
  at::Device device;

  at::Tensor read(const std::string& name, at::IntArrayRef shape) const;
  // The norm of the embedding, of the model's end or of its head: NAME.weight, NAME.bias.
  Normalization norm(const std::string& name, const Geometry& geometry) const;
};

// The name of the norm behind a stack's last layer, without ".weight".
std::string final_norm(const format::Checkpoint& checkpoint);

// Not thread-safe (the head owns scratch buffers). A copy shares the weights until one of the two
// is bound.
class ModelEnds {
 public:
  // geometry: of the stack that the head reads. Throws corrupt. head_chunk: rows of logits at once,
  // at least 1.
  ModelEnds(const TensorReader& reader, const Geometry& geometry, std::int64_t head_chunk);

  const Embedding& embedding() const { return *embedding_; }
  Embedding& embedding() { return *embedding_; }
  bool has_head() const { return head_.has_value(); }
  // Throws incompatible for a masked model that came without its head.
  Head& head();

  // The numbers that can train, their names as the checkpoint spells them, and their places in one
  // flat run. Throws incompatible unless the model is causal and of one stack. In this order: token
  // embedding, learned positions, weight and bias of the norm, the head unless it is the embedding.
  std::vector<ParameterSlot> layout() const;
  // From now on they are views of the storage, which receives their current numbers first. Either
  // tensor of the storage holds as many numbers as the slots of layout() together. Throws as it.
  void bind(const LayerStorage& storage);
  // Whether they were bound.
  bool train() const { return bound_; }

 private:
  void load_embedding(const TensorReader& reader, const Geometry& geometry, at::Tensor tokens);
  void load_masked_head(const TensorReader& reader, const Geometry& geometry,
                        std::int64_t head_chunk, const std::function<at::Tensor()>& projection);
  void name_ends(const format::Checkpoint& checkpoint);
  std::vector<at::Tensor> values() const;

  format::Architecture architecture_;
  std::optional<Embedding> embedding_;
  std::optional<Head> head_;
  bool tied_ = false, bound_ = false;
  std::vector<std::string> names_;  // as values(); empty: these ends do not train
};

}  // namespace organ::train
