// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>

#include "train/internal/batches.h"
#include "train/internal/prefix_cache.h"

namespace organ::train {

PrefixCache::PrefixCache(Model& model, const Dataset& data, std::int64_t layers_below, bool rounded,
                         std::uint64_t byte_limit)
    : model_(model),
      data_(data),
      layers_below_(layers_below),
      rounded_(rounded),
      byte_limit_(byte_limit),
      kept_(static_cast<std::size_t>(data.windows())) {}

at::Tensor PrefixCache::inputs(std::span<const std::int64_t> windows) {
  // An embedding is cheaper to look up than to keep.
  if (layers_below_ == 0) return model_.embed(make_batch(data_, windows));
  const std::int64_t length = data_.context();
  at::Tensor all = at::empty(
      {static_cast<std::int64_t>(windows.size()) * length, model_.hidden_size()}, at::kFloat);
  for (std::size_t row = 0; row < windows.size(); ++row) {
    all.narrow(0, static_cast<std::int64_t>(row) * length, length).copy_(window(windows[row]));
  }
  return all;
}

at::Tensor PrefixCache::window(std::int64_t index) {
  at::Tensor& kept = kept_[static_cast<std::size_t>(index)];
  if (kept.defined()) return kept;
  at::Tensor computed = compute(index);
  if (bytes_ + computed.nbytes() <= byte_limit_) {
    kept = computed;
    bytes_ += computed.nbytes();
  }
  return computed;
}

at::Tensor PrefixCache::compute(std::int64_t index) {
  const Batch batch = make_batch(data_, {&index, 1});
  at::Tensor x = model_.embed(batch);
  for (std::int64_t layer = 0; layer < layers_below_; ++layer) {
    x = model_.forward_layer(layer, x, batch, nullptr);
  }
  return rounded_ ? x.to(at::kBFloat16) : x;
}

}  // namespace organ::train
