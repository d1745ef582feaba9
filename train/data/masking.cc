// SPDX-License-Identifier: Apache-2.0
#include "train/data/masking.h"

#include <algorithm>
#include <string_view>

#include "format/base/fail.h"
#include "format/base/random.h"
#include "train/data/dataset.h"
#include "train/tokenizer/tokenizer.h"

namespace organ::train {

MaskDraw read_mask_draw(const Tokenizer& tokenizer, std::uint64_t vocab_size, std::uint64_t seed) {
  constexpr std::string_view kMask = "[MASK]";
  constexpr std::string_view kSpecial[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", kMask};
  const auto mask = tokenizer.token_to_id(kMask);
  if (!mask || static_cast<std::uint64_t>(*mask) >= vocab_size) {
    throw Error(ErrorCode::incompatible,
                fmt::format("tokenizer: has no token {} within the model's vocabulary of {}",
                            quote(kMask), vocab_size),
                "a masked language model is trained and measured on hidden tokens");
  }
  MaskDraw draw{seed, *mask, vocab_size, {}};
  for (const std::string_view token : kSpecial) {
    if (const auto id = tokenizer.token_to_id(token)) draw.never.push_back(*id);
  }
  for (const auto id : {tokenizer.pad(), tokenizer.unk(), tokenizer.bos(), tokenizer.eos()}) {
    if (id) draw.never.push_back(*id);
  }
  std::sort(draw.never.begin(), draw.never.end());
  draw.never.erase(std::unique(draw.never.begin(), draw.never.end()), draw.never.end());
  if (draw.never.size() >= vocab_size) {
    fail(ErrorCode::incompatible, "tokenizer: has {}, all special", counted(vocab_size, "token"));
  }
  return draw;
}

void hide_tokens(const MaskDraw& draw, std::uint64_t start, std::size_t tokens,
                 const WindowArrays& window) {
  const auto special = [&](std::int64_t id) {
    return std::binary_search(draw.never.begin(), draw.never.end(), id);
  };
  std::fill(window.targets.begin(), window.targets.end(), -1);
  SplitMix64 random(SplitMix64(draw.seed).next() ^ SplitMix64(start).next());
  for (std::size_t i = 0; i < tokens; ++i) {
    // As many draws for each place, so that no place depends on what was drawn before it.
    const bool chosen = random.below(100) < MaskDraw::kChosenPercent;
    const std::uint64_t fate = random.below(100);
    SplitMix64 replacements(random.next());
    if (!chosen || special(window.ids[i])) continue;
    window.targets[i] = window.ids[i];
    if (fate < MaskDraw::kMaskedPercent) {
      window.ids[i] = draw.mask_id;
    } else if (fate < MaskDraw::kMaskedPercent + MaskDraw::kReplacedPercent) {
      do {
        window.ids[i] = static_cast<std::int64_t>(replacements.below(draw.vocab_size));
      } while (special(window.ids[i]));
    }
  }
}

}  // namespace organ::train
