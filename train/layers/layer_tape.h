// SPDX-License-Identifier: Apache-2.0
// What a layer keeps between its forward and its backward.
#pragma once

#include <memory>

namespace organ::train {

// What forward keeps of one layer for its backward. Each kind of layer has its own; freed by
// backward.
struct LayerTape {
  virtual ~LayerTape() = default;
};
using LayerTapePtr = std::unique_ptr<LayerTape>;

}  // namespace organ::train
