// SPDX-License-Identifier: Apache-2.0
// Pre-tokenisers of tokenizer.json: cut pieces into smaller ones. Immutable and thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "train/tokenizer/stages/pieces.h"
#include "train/tokenizer/text/regex.h"

namespace organ::train {

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual void apply(Pieces& pieces) const = 0;
  // A character that the input did not have may stand in front of a piece.
  virtual bool prepends() const { return false; }
  // Asks whether a piece is the very start of the input.
  virtual bool asks_for_start() const { return false; }
};

using PreTokenizerPtr = std::unique_ptr<const PreTokenizer>;

enum class SplitBehavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };
enum class PrependScheme { always, first, never };

PreTokenizerPtr make_pre_tokenizer_sequence(std::vector<PreTokenizerPtr> parts);
PreTokenizerPtr make_byte_level(bool add_prefix_space, bool use_regex);
PreTokenizerPtr make_split(Pattern pattern, SplitBehavior behavior, bool invert);
PreTokenizerPtr make_digits(bool individual);
PreTokenizerPtr make_metaspace(std::string replacement, PrependScheme scheme, bool split);
PreTokenizerPtr make_whitespace();
PreTokenizerPtr make_whitespace_split();
PreTokenizerPtr make_punctuation(SplitBehavior behavior);

}  // namespace organ::train
