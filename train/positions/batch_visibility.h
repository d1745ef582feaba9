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

// Keeps the spans of the batch it was asked for last. Not thread-safe.
class BatchVisibility {
 public:
  // window: how many positions a query sees, itself included; 0 = no limit. The result is valid
  // until another batch comes.
  const VisibleKeys& of(const Batch& batch, Sight sight, std::int64_t window);

 private:
  // What the spans depend on. The bounds are copies: a batch may be filled anew in its place.
  struct Shape {
    std::int64_t rows = 0, length = 0, past = 0;
    at::Tensor first_key, end_key;
  };
  bool holds(const Batch& batch) const;

  Shape shape_;
  std::map<std::pair<Sight, std::int64_t>, VisibleKeys> spans_;
};

}  // namespace organ::train
