// SPDX-License-Identifier: Apache-2.0
// Pre-tokenisers of tokenizer.json: cut pieces into smaller ones. Immutable and thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "train/tokenizer/stages/pieces.h"
#include "train/tokenizer/text/regex.h"

namespace organ::train {

// Whatever a pre-tokeniser does, Pieces keeps its promises: valid UTF-8, spans in order and never
// empty.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  // Throws invalid_argument when a regex gives up on the text (PCRE2's match limit) or the text
  // grows beyond 4 GiB. The pieces are not to be used then.
  virtual void apply(Pieces& pieces) const = 0;
  // A character that the input did not have may stand in front of a piece.
  virtual bool prepends() const { return false; }
  // Asks whether a piece is the very start of the input.
  virtual bool asks_for_start() const { return false; }
};

using PreTokenizerPtr = std::unique_ptr<const PreTokenizer>;

// What becomes of the matches of a split. removed: they are dropped. isolated: each is a piece.
// merged_with_previous, merged_with_next: each joins the text before or after it; where that is a
// match itself, or nothing, it stays a piece. contiguous: neighbouring matches are one piece.
enum class SplitBehavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };
// Which pieces get the stand-in for a space in front: all, the one at the very start of the input,
// or none.
enum class PrependScheme { always, first, never };

// One after the other; none at all leaves the pieces as they are. No part is null.
PreTokenizerPtr make_pre_tokenizer_sequence(std::vector<PreTokenizerPtr> parts);
// With add_prefix_space each piece that does not begin with a space gets one; with use_regex pieces
// are cut by GPT-2's regex. Then every byte becomes its stand-in (byte_level.h), so that the text
// is up to twice as long.
PreTokenizerPtr make_byte_level(bool add_prefix_space, bool use_regex);
// With `invert` the text between the matches takes the part of the matches.
PreTokenizerPtr make_split(Pattern pattern, SplitBehavior behavior, bool invert);
// Numbers (is_numeric) apart from other text: each by itself, or run by run.
PreTokenizerPtr make_digits(bool individual);
// Spaces (U+0020) become `replacement`, one character; with `split` each begins a piece. A piece
// that begins with a space or the replacement gets none in front, whatever the scheme.
PreTokenizerPtr make_metaspace(std::string replacement, PrependScheme scheme, bool split);
// \w+|[^\w\s]+ as pieces, white space dropped.
PreTokenizerPtr make_whitespace();
// Cuts at white space, which is dropped.
PreTokenizerPtr make_whitespace_split();
PreTokenizerPtr make_punctuation(SplitBehavior behavior);

}  // namespace organ::train
