// SPDX-License-Identifier: Apache-2.0
// A run of layers of one model.
#pragma once

#include <cstdint>
#include <string_view>

#include "format/base/error.h"

#pragma GCC visibility push(default)

namespace organ::format {

// Layers [first, first + count) of a model.
struct LayerRange {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  // "A:B" (half-open, A < B <= layer_count), decimal digits without sign or space. Throws
  // invalid_argument saying the layer count.
  static LayerRange parse(std::string_view text, std::uint64_t layer_count);
  // From layer floor(L/3) on, three layers (arXiv 2601.13580, section 4.1), all inside the model.
  // Throws invalid_argument for a model of fewer than three.
  static LayerRange middle_third(std::uint64_t layer_count);
};

}  // namespace organ::format

#pragma GCC visibility pop
