// SPDX-License-Identifier: Apache-2.0
#include "train/kernels/visible_keys.h"

#include <algorithm>

#include "train/kernels/dispatch.h"

namespace organ::train {

VisibleKeys::VisibleKeys(const at::Tensor& first_key, const at::Tensor& end_key,
                         const kernels::HeadLayout& layout, std::int64_t window)
    : length_(layout.length),
      past_(layout.past),
      first_(static_cast<std::size_t>(layout.rows * layout.length)) {
  const std::int32_t* document = first_key.defined() ? first_key.const_data_ptr<int>() : nullptr;
  const std::int32_t* ends = end_key.defined() ? end_key.const_data_ptr<int>() : nullptr;
  if (ends != nullptr) window = 0;
  for (std::int64_t i = 0; i < layout.rows * length_; ++i) {
    const std::int64_t position = layout.source > 0 ? layout.keys() - 1 : past_ + i % length_;
    std::int64_t first = document ? document[i] : 0;
    if (window > 0) first = std::max(first, position - window + 1);
    first = std::clamp<std::int64_t>(first, 0, position);
    first_[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(first);
    if (ends == nullptr) continue;
    end_.push_back(
        static_cast<std::int32_t>(std::clamp<std::int64_t>(ends[i], first + 1, layout.keys())));
  }
}

std::int64_t VisibleKeys::lowest(std::int64_t row, std::int64_t begin, std::int64_t end) const {
  const auto start = first_.begin() + row * length_;
  return *std::min_element(start + begin, start + end);
}

std::int64_t VisibleKeys::highest(std::int64_t row, std::int64_t begin, std::int64_t end) const {
  if (end_.empty()) return past_ + end;
  const auto start = end_.begin() + row * length_;
  return *std::max_element(start + begin, start + end);
}

}  // namespace organ::train
