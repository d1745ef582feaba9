// SPDX-License-Identifier: Apache-2.0
// A sequence that a model has read and goes on with, so that each further token costs one position.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>
#include "train/layers/key_values.h"

namespace organ::train {

// All layers of one sequence. Filled by Model::decode and Model::read_source. Keeps keys and values
// of each position and layer, and the ids. Good for the model that filled it. A copy shares the
// memory: only one of the two may go on. One whose decode() threw holds ids that did not run:
// decode() refuses it. Not thread-safe.
class DecodeCache {
 public:
  // Without the source. Positions that decode() was given.
  std::int64_t length() const { return static_cast<std::int64_t>(ids_.size()); }

 private:
  friend class Model;
  // One a layer of the model, in its order; those of an encoder stay empty.
  std::vector<KeyValues> layers_;
  // Kept because all of them run again where every position turns anew (RopeTables::depends_on).
  std::vector<std::int64_t> ids_;
  bool whole_ = true;  // every id went through every layer
  at::Tensor source_;  // fp32 [source, hidden_size]: what the encoder made
};

}  // namespace organ::train
