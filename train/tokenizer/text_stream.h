// SPDX-License-Identifier: Apache-2.0
// Token ids to text while they come. What a later id may still change is held back.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "train/tokenizer/tokenizer.h"

namespace organ::train {

// What the calls give, one behind the other, is the text. The time of a call does not grow with the
// ids before it, but for those that are still held back; memory does, by 4 bytes an id. Not
// thread-safe.
class TextStream {
 public:
  // The text goes on after `prompt`, whose own text is not given and of which the last six ids
  // matter, or as many as whole characters take; empty: nothing stands before. Throws
  // invalid_argument for a negative id among those.
  // Special tokens are left out of it, or not.
  TextStream(Tokenizer tokenizer, std::vector<std::int32_t> prompt, bool skip_special = true);

  // The text that is certain now and was not before; often empty, as within a character of several
  // tokens. Throws invalid_argument for a negative id.
  std::string push(std::int32_t id);
  // The rest; part of a character becomes U+FFFD.
  std::string finish();

 private:
  std::string text_of(std::size_t begin, std::size_t end) const;
  std::string take(bool all);

  Tokenizer tokenizer_;
  bool skip_special_;
  std::vector<std::int32_t> ids_;
  std::size_t begin_, done_;  // ids from begin_ on are decoded together; up to done_ was given out
};

}  // namespace organ::train
