// SPDX-License-Identifier: Apache-2.0
// A sequence that a model has read and goes on with, so that each further token costs one position.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>
#include "train/layers/key_values.h"

namespace organ::train {

// All layers of one sequence. Filled by Model::decode and Model::read_source.
class DecodeCache {
 public:
  // Without the source.
  std::int64_t length() const { return static_cast<std::int64_t>(ids_.size()); }

 private:
  friend class Model;
  std::vector<KeyValues> layers_;
  std::vector<std::int64_t> ids_;
  at::Tensor source_;  // fp32 [source, hidden_size]: what the encoder made
};

}  // namespace organ::train
