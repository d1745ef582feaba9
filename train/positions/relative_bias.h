// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace organ::train {

// T5's relative positions (arXiv 1910.10683, section 2.1; transformers 5.23, modeling_t5): the
// distance of a key from its query falls into one of `buckets`, the near distances into one each,
// the farther ones logarithmically up to max_distance.
struct RelativeScheme {
  std::int64_t buckets = 0, max_distance = 0;
  bool bidirectional = false;  // half of the buckets are for keys behind the query
};

// Of key position - query position.
std::int64_t relative_bucket(const RelativeScheme& scheme, std::int64_t distance);

// What all layers of a stack add to their scores, made when a longer sequence than before comes.
class RelativeBias {
 public:
  // table: fp32 [buckets, heads] on the CPU; device: where the values shall be
  RelativeBias(RelativeScheme scheme, at::Tensor table, at::Device device)
      : scheme_(scheme), table_(std::move(table)), device_(device) {}
  void prepare(std::int64_t length);
  // fp32 [heads, 2 n - 1], n at least the prepared length: column n - 1 + key - query.
  const at::Tensor& values() const { return values_; }

 private:
  RelativeScheme scheme_;
  at::Tensor table_, values_;
  at::Device device_;
  std::int64_t length_ = 0;
};

}  // namespace organ::train
