// SPDX-License-Identifier: Apache-2.0
// Tokens recognised in the text before the model sees it (<|endoftext|>).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "train/tokenizer/stages/pieces.h"

namespace organ::train {

// One entry of `added_tokens` in tokenizer.json. Whether a token is looked for before or after
// normalisation is for the caller to see to: each is given to one finder or the other.
struct AddedToken {
  std::int32_t id = 0;
  std::string content;       // valid UTF-8, as it is looked for
  bool single_word = false;  // only where no word character touches it (is_word)
  bool lstrip = false;       // swallows white space before it
  bool rstrip = false;       // and after it
  bool normalized = false;   // looked for in the normalised text
  bool special = false;      // left out by decode(…, skip_special)
};

// The longest `content`: the search takes at most that many steps for a byte of text. Whoever reads
// a tokenizer holds it to that; the finder itself takes any.
inline constexpr std::size_t kMaxAddedTokenBytes = 1024;

// A part of a text: one added token, or text in between (id -1). Never empty.
struct TokenOrText {
  std::int32_t id;
  Span span;
};

// Finds a set of added tokens, leftmost and longest first. Immutable and thread-safe.
class AddedTokenFinder {
 public:
  // Not while another thread splits.
  // No two tokens have equal contents; an empty one is never found.
  void add(const AddedToken& token);
  bool empty() const { return tokens_.empty(); }
  // The parts of `text`, in order; together they are all of it. White space that a token swallows
  // belongs to its part. With `split_special` those that are special stay text. The text is valid
  // UTF-8 of less than 4 GiB. A token found in vain (single_word, split_special) hides those that
  // begin inside of it. An empty text has no parts. Two parts overlap where a token begins in the
  // white space that the one before it swallowed, as in `tokenizers`.
  std::vector<TokenOrText> split(std::string_view text, bool split_special = false) const;

 private:
  struct Node {
    std::map<unsigned char, std::uint32_t> next;
    std::int32_t token = -1;  // index into tokens_
  };
  struct Found {
    std::int32_t token;
    std::size_t end;
  };
  // Token -1: none begins there.
  Found longest_at(std::string_view text, std::size_t at) const;

  std::vector<Node> nodes_{1};
  std::vector<AddedToken> tokens_;
  bool starts_[256] = {};  // bytes that begin a token
};

}  // namespace organ::train
