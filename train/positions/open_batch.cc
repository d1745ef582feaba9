// SPDX-License-Identifier: Apache-2.0
#include "train/positions/open_batch.h"

#include "train/positions/stream_parts.h"

namespace organ::train {

OpenBatch& OpenBatch::source() {
  if (!source_) source_ = std::make_unique<OpenBatch>(source_batch(batch_));
  return *source_;
}

OpenBatch& OpenBatch::target() {
  if (!target_) target_ = std::make_unique<OpenBatch>(target_batch(batch_));
  return *target_;
}

}  // namespace organ::train
