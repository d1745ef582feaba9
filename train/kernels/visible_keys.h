// SPDX-License-Identifier: Apache-2.0
// What each query of a batch may attend to: causality, documents and sliding windows as one pair of
// bounds per query.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>
#include "train/kernels/elementwise.h"

namespace organ::train {

// For each flat position the positions of its row that it may attend to: [first, end). Each sees at
// least one: first < end. Holds copies of the bounds; thread-safe once made.
class VisibleKeys {
 public:
  // first_key and end_key as in Batch; window 0 = unlimited; rows, lengths and past from the
  // layout. Keys of another sequence need end_key. Where end_key is defined the window counts for
  // nothing.
  VisibleKeys(const at::Tensor& first_key, const at::Tensor& end_key,
              const kernels::HeadLayout& layout, std::int64_t window);
  // Of query `query` of a row.
  std::int64_t first(std::int64_t row, std::int64_t query) const {
    return first_[static_cast<std::size_t>(row * length_ + query)];
  }
  std::int64_t end(std::int64_t row, std::int64_t query) const {
    return end_.empty() ? past_ + query + 1 : end_[static_cast<std::size_t>(row * length_ + query)];
  }
  // The lowest first() and the highest end() of queries [begin, end), at least one.
  std::int64_t lowest(std::int64_t row, std::int64_t begin, std::int64_t end) const;
  std::int64_t highest(std::int64_t row, std::int64_t begin, std::int64_t end) const;

 private:
  std::int64_t length_, past_;
  std::vector<std::int32_t> first_;
  std::vector<std::int32_t> end_;  // empty: causal
};

}  // namespace organ::train
