// SPDX-License-Identifier: Apache-2.0
// The numbers the Llama skeleton's maths needs, read once from the architecture's signed fields.
#pragma once

#include <cstdint>
#include <vector>

#include "format/architecture.h"

namespace organ::train {

struct Geometry {
  std::int64_t hidden_size = 0, intermediate_size = 0;
  std::int64_t heads = 0, kv_heads = 0, head_size = 0;
  double norm_epsilon = 0;
  bool qk_norm = false;  // RMS norm of each query and key head before the rotation
  double rope_theta = 0;
  format::RopeScaling rope_scaling;
  // Per layer: how many positions a query sees, itself included; 0 = all before it.
  std::vector<std::int64_t> windows;

  std::int64_t query_width() const { return heads * head_size; }
  std::int64_t kv_width() const { return kv_heads * head_size; }
  std::int64_t packed_width() const { return query_width() + 2 * kv_width(); }
};

// Throws incompatible for a family whose maths is not that of the Llama skeleton.
Geometry llama_geometry(const format::Architecture& architecture);

}  // namespace organ::train
