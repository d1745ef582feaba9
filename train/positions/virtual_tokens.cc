// SPDX-License-Identifier: Apache-2.0
#include "train/positions/virtual_tokens.h"

#include <algorithm>
#include <vector>

#include <ATen/ATen.h>

#include "format/base/fail.h"
#include "train/kernels/elementwise.h"

namespace organ::train {
namespace {

// One row of a widened batch while it is written.
struct WideRow {
  std::vector<std::int64_t> ids, targets;
  std::vector<std::int32_t> first_key;
  std::vector<std::int64_t> places;  // of the own positions

  void add(std::int64_t id, std::int64_t target, std::int64_t first) {
    ids.push_back(id);
    targets.push_back(target);
    first_key.push_back(static_cast<std::int32_t>(first));
  }
  std::int64_t length() const { return static_cast<std::int64_t>(ids.size()); }
  void pad_to(std::int64_t wanted) {
    while (length() < wanted) add(0, -1, length());
  }
};

// Sees itself alone and is asked for nothing.
bool is_padding(const std::int32_t* first, const std::int64_t* targets, std::int64_t i,
                std::int64_t length) {
  const bool alone = i + 1 == length || first[i + 1] == i + 1;
  return first[i] == i && alone && targets[i] < 0;
}

// first: null where the row is one document.
WideRow widen_row(const std::int64_t* ids, const std::int64_t* targets, const std::int32_t* first,
                  std::int64_t length, std::int64_t count) {
  WideRow row;
  std::int64_t start = 0;
  for (std::int64_t i = 0; i < length; ++i) {
    if (i == 0 || (first != nullptr && first[i] == i)) {
      start = row.length();
      const bool padding = first != nullptr && is_padding(first, targets, i, length);
      for (std::int64_t j = 0; j < (padding ? 0 : count); ++j) row.add(-1 - j, -1, start);
    }
    row.places.push_back(row.length());
    row.add(ids[i], targets[i], start);
  }
  return row;
}

template <typename T>
at::Tensor joined(const std::vector<WideRow>& rows, std::vector<T> WideRow::*part,
                  at::ScalarType type) {
  const auto length = static_cast<std::size_t>(rows.front().length());
  at::Tensor all = kernels::empty({static_cast<std::int64_t>(rows.size() * length)}, type);
  T* out = all.mutable_data_ptr<T>();
  for (const WideRow& row : rows) out = std::copy((row.*part).begin(), (row.*part).end(), out);
  return all;
}

}  // namespace

WideBatch widen(const Batch& batch, std::int64_t count) {
  check(batch.past == 0 && batch.source == 0 && batch.targets.defined(),
        "virtual tokens stand in whole rows of a causal model");
  const std::int32_t* first = bounds_of(batch.first_key);
  std::vector<WideRow> rows;
  std::int64_t longest = 0;
  for (std::int64_t row = 0; row < batch.rows; ++row) {
    const std::int64_t at = row * batch.length;
    rows.push_back(widen_row(batch.ids.const_data_ptr<std::int64_t>() + at,
                             batch.targets.const_data_ptr<std::int64_t>() + at,
                             first != nullptr ? first + at : nullptr, batch.length, count));
    longest = std::max(longest, rows.back().length());
  }
  std::vector<std::int64_t> places;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    rows[row].pad_to(longest);
    for (const std::int64_t place : rows[row].places) {
      places.push_back(static_cast<std::int64_t>(row) * longest + place);
    }
  }
  WideBatch result;
  Batch& wide = result.batch;
  wide.rows = batch.rows;
  wide.length = longest;
  wide.ids = joined(rows, &WideRow::ids, at::kLong);
  wide.targets = joined(rows, &WideRow::targets, at::kLong);
  if (first != nullptr) wide.first_key = joined(rows, &WideRow::first_key, at::kInt);
  if (batch.end_key.defined()) {
    wide.end_key = kernels::empty({wide.tokens()}, at::kInt).fill_(longest);
    std::int32_t* ends = wide.end_key.mutable_data_ptr<std::int32_t>();
    const std::int32_t* end = bounds_of(batch.end_key);
    for (std::int64_t i = 0; i < batch.tokens(); ++i) {
      const auto own = static_cast<std::size_t>(i);
      const std::int64_t row = i / batch.length;
      // One past the place of the last position that is seen.
      const auto last = static_cast<std::size_t>(row * batch.length + end[i] - 1);
      ends[places[own]] = static_cast<std::int32_t>(places[last] - row * longest + 1);
    }
  }
  result.places = index_tensor(places);
  return result;
}

at::Tensor WideBatch::own_rows(const at::Tensor& wide) const {
  return at::index_select(wide, 0, places.to(wide.device()));
}

at::Tensor WideBatch::spread(const at::Tensor& own) const {
  at::Tensor wide = at::zeros({batch.tokens(), own.size(1)}, own.options());
  return wide.index_copy_(0, places.to(own.device()), own);
}

}  // namespace organ::train
