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

struct WordPieceConfig {
  std::string unk_token;
  std::string continuing_subword_prefix;  // in front of tokens that go on within a word
  std::uint64_t max_input_chars_per_word = 100;
};

class WordPiece final : public TokenModel {
 public:
  // Throws corrupt when the vocabulary lacks the unknown token; `subject` names the file.
  WordPiece(Vocabulary vocabulary, const WordPieceConfig& config, std::string_view subject);

  std::optional<std::int32_t> unk() const override { return unk_; }
  std::unique_ptr<TokenModel::Session> session() const override;

 private:
  class Session final : public TokenModel::Session {
   public:
    explicit Session(const WordPiece& model) : model_(model) {}
    void encode(std::string_view piece, std::vector<std::int32_t>& out) override;

   private:
    const WordPiece& model_;
  };
  bool is_too_long(std::string_view word) const;

  TokenTrie trie_;
  TokenTrie::Node continuing_;  // where the walk of a later token of a word begins
  std::int32_t unk_ = -1;
  std::uint64_t max_characters_;
};

}  // namespace organ::train
