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

struct AddedToken {
  std::int32_t id = 0;
  std::string content;
  bool single_word = false;  // only where no word character touches it
  bool lstrip = false;       // swallows white space before it
  bool rstrip = false;       // and after it
  bool normalized = false;   // looked for in the normalised text
  bool special = false;      // left out by decode(…, skip_special)
};

// The longest `content`: the search takes at most that many steps for a byte of text.
inline constexpr std::size_t kMaxAddedTokenBytes = 1024;

// A part of a text: one added token, or text in between (id -1).
struct TokenOrText {
  std::int32_t id;
  Span span;
};

// Finds a set of added tokens, leftmost and longest first. Immutable and thread-safe.
class AddedTokenFinder {
 public:
  // No two tokens have equal contents; an empty one is never found.
  void add(const AddedToken& token);
  bool empty() const { return tokens_.empty(); }
  // With `split_special` those that are special stay text.
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
  Found longest_at(std::string_view text, std::size_t at) const;

  std::vector<Node> nodes_{1};
  std::vector<AddedToken> tokens_;
  bool starts_[256] = {};  // bytes that begin a token
};

}  // namespace organ::train
