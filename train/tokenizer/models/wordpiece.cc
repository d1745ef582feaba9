// SPDX-License-Identifier: Apache-2.0
#include "train/tokenizer/models/wordpiece.h"

#include <algorithm>

#include "format/base/fail.h"

namespace organ::train {

WordPiece::WordPiece(Vocabulary vocabulary, const WordPieceConfig& config, std::string_view subject)
    : TokenModel(std::move(vocabulary)),
      trie_(this->vocabulary().tokens()),
      continuing_(trie_.walk(TokenTrie::kRoot, config.continuing_subword_prefix)),
      max_characters_(config.max_input_chars_per_word) {
  const auto unk = this->vocabulary().id_of(config.unk_token);
  if (!unk) {
    fail(ErrorCode::corrupt, "{}: unk_token {} is not in the vocabulary", subject,
         quote(config.unk_token));
  }
  unk_ = *unk;
}

std::unique_ptr<TokenModel::Session> WordPiece::session() const {
  return std::make_unique<Session>(*this);
}

bool WordPiece::is_too_long(std::string_view word) const {
  if (word.size() <= max_characters_) return false;
  const auto characters = std::ranges::count_if(
      word, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
  return static_cast<std::uint64_t>(characters) > max_characters_;
}

void WordPiece::Session::encode(std::string_view piece, std::vector<std::int32_t>& out) {
  if (model_.is_too_long(piece)) {
    out.push_back(model_.unk_);
    return;
  }
  const std::size_t before = out.size();
  for (std::size_t at = 0; at < piece.size();) {
    TokenTrie::Node node = at == 0 ? TokenTrie::kRoot : model_.continuing_;
    std::int32_t longest = -1;
    std::size_t end = at;
    for (std::size_t i = at; i < piece.size() && node != TokenTrie::kNone; ++i) {
      node = model_.trie_.step(node, static_cast<unsigned char>(piece[i]));
      if (node == TokenTrie::kNone || model_.trie_.id(node) < 0) continue;
      longest = model_.trie_.id(node);
      end = i + 1;
    }
    if (longest < 0) {
      out.resize(before);
      out.push_back(model_.unk_);
      return;
    }
    out.push_back(longest);
    at = end;
  }
}

}  // namespace organ::train
