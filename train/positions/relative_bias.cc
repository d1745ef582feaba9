// SPDX-License-Identifier: Apache-2.0
#include "train/positions/relative_bias.h"

#include <algorithm>
#include <cmath>

#include "train/kernels/dispatch.h"
#include "train/kernels/elementwise.h"

namespace organ::train {

std::int64_t relative_bucket(const RelativeScheme& scheme, std::int64_t distance) {
  const std::int64_t buckets = scheme.bidirectional ? scheme.buckets / 2 : scheme.buckets;
  const std::int64_t first = scheme.bidirectional && distance > 0 ? buckets : 0;
  const std::int64_t away =
      scheme.bidirectional ? std::abs(distance) : std::max<std::int64_t>(0, -distance);
  const std::int64_t exact = buckets / 2;
  if (away < exact) return first + away;
  // In fp32, as transformers does: the borders of the buckets depend on it.
  const float ratio = std::log(static_cast<float>(away) / static_cast<float>(exact)) /
                      static_cast<float>(std::log(static_cast<double>(scheme.max_distance) /
                                                  static_cast<double>(exact)));
  const auto step = static_cast<std::int64_t>(ratio * static_cast<float>(buckets - exact));
  return first + std::min(exact + step, buckets - 1);
}

void RelativeBias::prepare(std::int64_t length) {
  if (length <= length_) return;
  length_ = length;
  const std::int64_t heads = table_.size(1), columns = 2 * length - 1;
  // A new tensor: tapes may still hold the shorter one.
  const at::Tensor made = kernels::empty({heads, columns}, at::kFloat);
  const float* table = kernels::floats(table_);
  float* values = kernels::floats(made);
  for (std::int64_t column = 0; column < columns; ++column) {
    const float* row = table + relative_bucket(scheme_, column - (length - 1)) * heads;
    for (std::int64_t head = 0; head < heads; ++head) values[head * columns + column] = row[head];
  }
  values_ = made.to(device_);
}

}  // namespace organ::train
