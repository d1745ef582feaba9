// SPDX-License-Identifier: Apache-2.0
// Which positions each query of a batch sees, made once for all layers that have the same window.
#pragma once

#include <cstdint>
#include <map>
#include <utility>

#include "train/kernels/visible_keys.h"
#include "train/positions/batch.h"

namespace organ::train {

// What a token of a row attends to when the batch does not say more.
enum class Sight : std::uint8_t { causal, bidirectional };

// Borrows the batch, which must not change meanwhile. Not thread-safe.
class BatchVisibility {
 public:
  explicit BatchVisibility(const Batch& batch) : batch_(batch) {}

  // window: how many positions a query sees, itself included; 0 = no limit. Made when it is first
  // asked for; valid as long as this object.
  const VisibleKeys& of(Sight sight, std::int64_t window);

 private:
  const Batch& batch_;
  std::map<std::pair<Sight, std::int64_t>, VisibleKeys> keys_;
};

}  // namespace organ::train
