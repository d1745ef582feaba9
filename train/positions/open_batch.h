// SPDX-License-Identifier: Apache-2.0
// A batch while layers run over it: what they all need of it is made once.
#pragma once

#include <memory>

#include "train/positions/batch.h"
#include "train/positions/batch_visibility.h"

namespace organ::train {

// Shares the tensors of its batch, which must not change meanwhile. Not thread-safe.
class OpenBatch {
 public:
  explicit OpenBatch(Batch batch) : batch_(std::move(batch)), visible_(batch_) {}
  OpenBatch(const OpenBatch&) = delete;
  OpenBatch& operator=(const OpenBatch&) = delete;

  const Batch& batch() const { return batch_; }
  const VisibleKeys& visible(Sight sight, std::int64_t window) {
    return visible_.of(sight, window);
  }
  // Of an encoder-decoder: the part of each row that the encoder's layers run over, and that of the
  // decoder's (train/positions/stream_parts.h).
  OpenBatch& source();
  OpenBatch& target();

 private:
  Batch batch_;
  BatchVisibility visible_;
  std::unique_ptr<OpenBatch> source_, target_;
};

}  // namespace organ::train
