// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "format/architecture/architecture.h"

namespace organ::train {

// A rotary position scheme; formulas: transformers 5.23, modeling_rope_utils.
struct RopeScheme {
  double theta = 10000;
  format::RopeScaling scaling;
  std::int64_t head_size = 0;
};

// The rotation speed of each pair of a head, radians per position, in a sequence of `length`.
std::vector<float> rope_frequencies(const RopeScheme& scheme, std::int64_t length);
// What cosine and sine are multiplied by; 1 except for yarn.
double rope_attention_factor(const format::RopeScaling& scaling);

// Cosine and sine of every (position, pair), fp32 [at least length, head_size / 2], made when a
// longer sequence than before comes (dynamic scaling: when another length comes).
class RopeTables {
 public:
  explicit RopeTables(RopeScheme scheme, at::Device device = at::kCPU);
  void prepare(std::int64_t length);
  // Every position turns otherwise in a sequence of `length` than in a shorter one (dynamic
  // scaling beyond the length of training).
  bool depends_on(std::int64_t length) const;
  const at::Tensor& cosine() const { return cosine_; }
  const at::Tensor& sine() const { return sine_; }

 private:
  RopeScheme scheme_;
  at::Device device_;
  std::int64_t length_ = 0;
  at::Tensor cosine_, sine_;
};

}  // namespace organ::train
