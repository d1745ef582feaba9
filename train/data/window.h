// SPDX-License-Identifier: Apache-2.0
// A window of a data set as a model reads it.
#pragma once

#include <cstdint>
#include <span>

#pragma GCC visibility push(default)

namespace organ::train {

// One window as model inputs; arrays of row_length() numbers.
struct WindowArrays {
  std::span<std::int64_t> ids;
  // The id at t + 1 of the same document, a hidden id, what a decoder writes, or -1.
  std::span<std::int64_t> targets;
  // Start of the token's document in this window. Of span denoising (train/data/span_denoising.h):
  // 0, of padding in the source its place; there a window is one text, whatever documents it is of.
  std::span<std::int32_t> first_key;
};

}  // namespace organ::train

#pragma GCC visibility pop
