// SPDX-License-Identifier: Apache-2.0
// A batch while a model runs over it, opened once for all its layers.
#pragma once

#include <memory>
#include <optional>

#include "train/positions/open_batch.h"
#include "train/positions/virtual_tokens.h"

namespace organ::train {

// Made by Model::open, and for that model alone, while its virtual tokens stay as they are. Shares
// the tensors of the batch, which must not change meanwhile. Movable; not thread-safe.
class ModelBatch {
 public:
  // The rows of head_loss and logits are those of own(). Between the layers, where the model has
  // virtual tokens, a stream has the rows of a wider batch.
  const Batch& own() const { return own_; }  // as it came

 private:
  friend class Model;
  ModelBatch(const Batch& own, std::optional<WideBatch> wide)
      : own_(own),
        wide_(std::move(wide)),
        running_(std::make_unique<OpenBatch>(wide_ ? wide_->batch : own_)) {}

  Batch own_;
  std::optional<WideBatch> wide_;  // with the model's virtual tokens; nullopt: it has none
  // What the layers run over: the wide batch, else own_. Behind a pointer since it does not move.
  std::unique_ptr<OpenBatch> running_;
};

}  // namespace organ::train
