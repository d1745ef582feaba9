// SPDX-License-Identifier: Apache-2.0
// The loss of a batch, not yet divided by its targets.
#pragma once

#include <cstdint>

namespace organ::train {

// Sums of several batches add up field by field. No targets: both are 0.
struct LossSum {
  double nll = 0;            // sum of -ln p(target), nats
  std::int64_t targets = 0;  // how many
};

}  // namespace organ::train
