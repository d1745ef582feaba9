// SPDX-License-Identifier: Apache-2.0
// WordPiece as the PyPI package `tokenizers` does it: the longest token first, again and again; a
// word that cannot be cut so is the unknown token as a whole.
// Source: Schuster and Nakajima 2012; google-research/bert tokenization.py.
#pragma once

#include <string>
#include <string_view>

#include "train/tokenizer/models/token_model.h"
#include "train/tokenizer/models/token_trie.h"

namespace organ::train {

// The fields of `model` in tokenizer.json. No token is longer than kMaxTrieTokenBytes, which the
// reader sees to: a word takes at most that many steps for each of its bytes.
struct WordPieceConfig {
  std::string unk_token;                  // has to be in the vocabulary
  std::string continuing_subword_prefix;  // in front of tokens that go on within a word; or empty
  // Code points; a longer piece is the unknown token, without a look at the vocabulary.
  std::uint64_t max_input_chars_per_word = 100;
};

class WordPiece final : public TokenModel {
 public:
  // Throws corrupt when the vocabulary lacks the unknown token; `subject` names the file.
  WordPiece(Vocabulary vocabulary, const WordPieceConfig& config, std::string_view subject);

  // Never nullopt.
  std::optional<std::int32_t> unk() const override { return unk_; }
  // Borrows the model. A piece is taken for one word: white space in it is looked up like the rest.
  // Nothing is kept from one piece to the next, and encode() throws nothing of its own.
  std::unique_ptr<TokenModel::Session> session() const override;

 private:
  class Session final : public TokenModel::Session {
   public:
    explicit Session(const WordPiece& model) : model_(model) {}
    void encode(std::string_view piece, std::vector<std::int32_t>& out) override;

   private:
    const WordPiece& model_;
  };
  // By code points, not bytes.
  bool is_too_long(std::string_view word) const;

  TokenTrie trie_;
  // kNone when no token begins with the prefix.
  TokenTrie::Node continuing_;  // where the walk of a later token of a word begins
  std::int32_t unk_ = -1;
  std::uint64_t max_characters_;
};

}  // namespace organ::train
