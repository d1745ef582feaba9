// SPDX-License-Identifier: Apache-2.0
#include "train/layers/internal/key_value_prefix.h"

#include <algorithm>
#include <vector>

#include <ATen/ATen.h>
#include "format/base/fail.h"

namespace organ::train {

KeyValuePrefix::KeyValuePrefix(const Parameter& keys_and_values, const Batch& batch,
                               const at::Tensor& cosine, const at::Tensor& sine)
    : value_(keys_and_values.value), gradient_(keys_and_values.gradient), length_(batch.length) {
  if (!value_.defined()) return;
  const std::int64_t* ids = batch.ids.const_data_ptr<std::int64_t>();
  const std::int32_t* first = bounds_of(batch.first_key);
  std::vector<std::int64_t> rows, slots, which, starts;
  for (std::int64_t i = 0; i < batch.tokens(); ++i) {
    if (ids[i] >= 0) continue;
    rows.push_back(i / length_);
    slots.push_back(i % length_);
    which.push_back(-1 - ids[i]);
    starts.push_back(first != nullptr ? first[i] : 0);
  }
  if (rows.empty()) return;
  const at::Device device = value_.device();
  rows_ = index_tensor(rows).to(device);
  slots_ = index_tensor(slots).to(device);
  which_ = index_tensor(which).to(device);
  const bool turn = std::any_of(starts.begin(), starts.end(), [](auto start) { return start > 0; });
  if (!turn || !cosine.defined()) return;
  // The tables hold the length that yarn gives both sides of a score; that of position 0 is all
  // length. A key of the cache has it no more than it has a rotation.
  const double length = cosine[0][0].item<double>();
  const at::Tensor start = index_tensor(starts).to(device);
  cosine_ = cosine.index_select(0, start).unsqueeze(1).div_(length);
  sine_ = sine.index_select(0, start).unsqueeze(1).div_(length);
}

at::Tensor KeyValuePrefix::turned(const at::Tensor& keys, bool back) const {
  if (!cosine_.defined()) return keys;
  const auto halves = keys.to(at::kFloat).chunk(2, -1);
  const at::Tensor sine = back ? sine_.neg() : sine_;
  return at::cat({halves[0] * cosine_ - halves[1] * sine, halves[1] * cosine_ + halves[0] * sine},
                 -1);
}

namespace {

// [rows, positions, kv_heads, head_size] of [rows * kv_heads, positions, head_size].
at::Tensor by_position(const at::Tensor& heads, std::int64_t kv_heads) {
  return heads.view({-1, kv_heads, heads.size(1), heads.size(2)}).transpose(1, 2);
}

}  // namespace

void KeyValuePrefix::put_into(kernels::Heads& heads) const {
  const auto put = [&](const at::Tensor& all, std::int64_t part, bool turn) {
    const at::Tensor rows = value_.select(1, part).index_select(0, which_);
    by_position(all, value_.size(2))
        .index_put_({rows_, slots_}, (turn ? turned(rows, false) : rows).to(all.scalar_type()));
  };
  put(heads.key, 0, true);
  put(heads.value, 1, false);
}

void KeyValuePrefix::take_gradient(kernels::Heads& gradient) const {
  const auto take = [&](const at::Tensor& all, std::int64_t part, bool turn) {
    at::Tensor places = by_position(all, value_.size(2));
    const at::Tensor rows = places.index({rows_, slots_}).to(at::kFloat);
    if (gradient_.defined()) {
      kernels::add_to_rows(gradient_.select(1, part), which_, turn ? turned(rows, true) : rows);
    }
    places.index_put_({rows_, slots_}, at::zeros({}, all.options()));
  };
  take(gradient.key, 0, true);
  take(gradient.value, 1, false);
}

}  // namespace organ::train
