// SPDX-License-Identifier: Apache-2.0
// The unigram language model as the PyPI package `tokenizers` does it: of all ways to write a
// piece as tokens the one with the largest sum of scores, added from left to right in double
// precision; of equal sums the first found, which is the one with the earlier start.
// Source: Kudo 2018 (arXiv 1804.10959).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "train/tokenizer/models/token_model.h"
#include "train/tokenizer/models/token_trie.h"

namespace organ::train {

// The fields of `model` in tokenizer.json.
struct UnigramConfig {
  std::vector<double> scores;  // by id; log-probabilities, finite
  // What a character may become that is no token by itself, at a score 10 below the worst token's;
  // a run of them is one unknown token. nullopt: no text with such a character can be encoded.
  std::optional<std::int32_t> unk_id;
  // A run of unknown characters becomes the tokens <0x00>-<0xFF> of its bytes, where all of them
  // are in the vocabulary.
  bool byte_fallback = false;
};

class Unigram final : public TokenModel {
 public:
  // As many scores as tokens, one at least, `unk_id` among them. Throws internal for another number
  // of scores.
  Unigram(Vocabulary vocabulary, UnigramConfig config);

  std::optional<std::int32_t> unk() const override { return config_.unk_id; }
  // Borrows the model. encode() throws invalid_argument for a character that is no token by itself
  // when there is no unknown token; the ids of a part of the piece may be appended by then.
  std::unique_ptr<TokenModel::Session> session() const override;

 private:
  // Works through a piece in segments that end where no token reaches over, so that memory and
  // cache hold one of them (a word, mostly) and not the piece.
  class Session final : public TokenModel::Session {
   public:
    explicit Session(const Unigram& model) : model_(model) {}
    void encode(std::string_view piece, std::vector<std::int32_t>& out) override;

   private:
    // The best path to one byte position of the segment.
    struct Arrival {
      double score = 0;
      std::uint32_t start = UINT32_MAX;  // of its last token, in the segment; UINT32_MAX: no path
      std::int32_t id = 0;
    };
    // A token `id` of the piece from `from` to `to` with the sum `score` of the path that it ends:
    // kept when it is the first to `to`, or better.
    void arrive(std::size_t from, std::size_t to, double score, std::int32_t id);
    void extend(std::string_view piece, std::size_t at, std::size_t length);
    void finish_segment(std::string_view piece, std::size_t end, std::vector<std::int32_t>& out);
    void finish_unknown(std::string_view piece, std::vector<std::int32_t>& out);

    const Unigram& model_;
    std::size_t base_ = 0;           // where the segment begins
    std::vector<Arrival> arrivals_;  // by position - base_
    std::vector<Arrival> path_;
    std::size_t unknown_begin_ = 0, unknown_end_ = 0;  // a run of unknown characters to be fused
  };

  UnigramConfig config_;
  TokenTrie trie_;
  std::vector<std::int32_t> bytes_;  // ids of <0x00>-<0xFF>, empty without byte fallback
  double unknown_score_ = 0;
};

}  // namespace organ::train
