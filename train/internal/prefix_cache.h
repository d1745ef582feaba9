// SPDX-License-Identifier: Apache-2.0
// The residual stream that enters the organ. The layers below it never change, so each window's
// is computed once and kept while memory allows.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "train/dataset.h"
#include "train/internal/model.h"

namespace organ::train {

// Of one data set and one model, both borrowed. Windows are computed one by one and, in bf16,
// rounded to it whether they are kept or not: what a window gives depends neither on the batch it
// came in nor on the cache's size. Not thread-safe.
class PrefixCache {
 public:
  // `rounded`: keep bf16 (half the memory), else fp32. `byte_limit` bounds what is kept.
  PrefixCache(Model& model, const Dataset& data, std::int64_t layers_below, bool rounded,
              std::uint64_t byte_limit);

  // fp32 [windows x context, hidden_size]
  at::Tensor inputs(std::span<const std::int64_t> windows);

  std::uint64_t bytes() const { return bytes_; }

 private:
  at::Tensor window(std::int64_t index);
  at::Tensor compute(std::int64_t index);

  Model& model_;
  const Dataset& data_;
  std::int64_t layers_below_;
  bool rounded_;
  std::uint64_t byte_limit_;
  std::uint64_t bytes_ = 0;
  std::vector<at::Tensor> kept_;  // undefined: not kept
};

}  // namespace organ::train
