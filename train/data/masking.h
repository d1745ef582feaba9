// SPDX-License-Identifier: Apache-2.0
// What a masked language model (BERT, arXiv 1810.04805) is trained and measured on: some tokens of
// each window are hidden, and the model says which they were. The draw is fixed by its seed, so
// that two measurements are of the same task.
#pragma once

#include <cstdint>
#include <vector>

#include "format/base/error.h"

#pragma GCC visibility push(default)

namespace organ::train {

class Tokenizer;
struct WindowArrays;

struct MaskDraw {
  std::uint64_t seed = 0;
  std::int32_t mask_id = 0;
  std::uint64_t vocab_size = 0;
  std::vector<std::int32_t> never;  // special tokens, ascending: neither hidden nor drawn
  // Of the tokens 15 % are targets: 80 % of these become the mask, 10 % another token, 10 % stay.
  static constexpr std::uint64_t kChosenPercent = 15, kMaskedPercent = 80, kReplacedPercent = 10;
};

// The ids of the mask and of the special tokens. Throws incompatible when the tokenizer has no
// [MASK] or one beyond the model's vocabulary.
MaskDraw read_mask_draw(const Tokenizer& tokenizer, std::uint64_t vocab_size, std::uint64_t seed);

// Hides tokens among the first `tokens` of a window that starts at token `start` of its data: `ids`
// are what the model sees, `targets` the hidden ids, -1 elsewhere. Depends on draw, start and place
// alone.
void hide_tokens(const MaskDraw& draw, std::uint64_t start, std::size_t tokens,
                 const WindowArrays& window);

}  // namespace organ::train

#pragma GCC visibility pop
