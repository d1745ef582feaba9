// SPDX-License-Identifier: Apache-2.0
// Byte-pair encoding as the PyPI package `tokenizers` does it (model type BPE).
// Source: Sennrich et al. 2016 (arXiv 1508.07909); merges by rank, leftmost first.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "train/tokenizer/models/token_model.h"

namespace organ::train {

// The fields of `model` in tokenizer.json under their own names; what is absent there is empty or
// false. Every text is valid UTF-8.
struct BpeConfig {
  // By rank, lowest first: left and right token, neither empty. Of two equal pairs the later rank
  // counts.
  std::vector<std::pair<std::string, std::string>> merges;
  std::string unk_token;  // empty: none
  // In front of each character of a piece but the first; the right token of a merge drops it when
  // the two are joined. ASCII.
  std::string continuing_subword_prefix;
  // Behind the last character of a piece.
  std::string end_of_word_suffix;
  // A run of unknown characters is one unknown token, else each is one.
  bool fuse_unk = false;
  // A character without token becomes the tokens <0x00>-<0xFF> of its bytes, where all of them are
  // in the vocabulary; else, as without this, the unknown token, or nothing where there is none.
  bool byte_fallback = false;
  // A piece that is a token as it stands is that token, whatever the merges say.
  bool ignore_merges = false;
};

class Bpe final : public TokenModel {
 public:
  // Token texts are valid UTF-8.
  // Throws corrupt when a merge or the unknown token names a token that is not in the vocabulary;
  // `subject` names the file.
  Bpe(Vocabulary vocabulary, BpeConfig config, std::string_view subject);

  // nullopt: the configuration names none.
  std::optional<std::int32_t> unk() const override;
  // Borrows the model. A short piece that comes again is not merged again: it is remembered as a
  // view until forget(). encode() throws nothing of its own.
  std::unique_ptr<TokenModel::Session> session() const override;

 private:
  // Words it has met, as views, and scratch memory.
  class Session final : public TokenModel::Session {
   public:
    explicit Session(const Bpe& bpe) : bpe_(bpe) {}
    void encode(std::string_view piece, std::vector<std::int32_t>& out) override;
    void forget() override {
      words_.clear();
      ids_.clear();
    }

   private:
    struct Symbol {
      std::int32_t id;
      std::uint32_t previous, next;
      bool alive;
    };
    struct Remembered {
      std::size_t begin, count;  // in ids_
    };
    // Appends what merge_piece gives, from memory where the piece was met before.
    void encode_remembered(std::string_view piece, std::vector<std::int32_t>& out);
    void merge_piece(std::string_view piece, std::vector<std::int32_t>& out);
    void add_symbols(std::string_view piece);
    void add_symbol(std::int32_t id);
    // Puts the symbol at `left` and the one after it into the queue, where a merge joins them.
    void offer(std::uint32_t left);
    void merge_symbols();

    const Bpe& bpe_;
    // Views of pieces, until forget(): pieces of 128 bytes at most, 131072 of them at most.
    std::unordered_map<std::string_view, Remembered> words_;
    std::vector<std::int32_t> ids_;
    std::vector<Symbol> symbols_;
    std::vector<std::uint64_t> queue_;  // rank << 32 | position, a min-heap
  };

  struct Merge {
    std::uint64_t key = UINT64_MAX;  // left << 32 | right
    std::uint32_t rank = 0;
    std::int32_t id = 0;
  };
  // Null: the two are never merged. Valid as long as the model.
  const Merge* find_merge(std::int32_t left, std::int32_t right) const;
  void insert_merge(const Merge& merge);
  void index_tokens(std::string_view subject);
  void index_merges(std::string_view subject);
  void index_cuts();
  // The id of one character alone, -1 when the vocabulary has none.
  std::int32_t id_of_character(std::string_view text, char32_t code_point) const;
  // Whether the text between these two characters, by id, can be cut without changing the ids.
  bool may_cut(std::int32_t left, std::int32_t right) const;

  BpeConfig config_;
  std::vector<std::int32_t> characters_;  // ids of U+0000-U+FFFF, -1 for none
  std::vector<std::int32_t> bytes_;       // ids of <0x00>-<0xFF>, -1 for none
  std::vector<Merge> merges_;             // open addressing, a power of two
  std::vector<std::uint64_t> joined_;     // sorted pairs of characters inside some merge
  bool cuts_ = false;
  std::int32_t unk_ = -1;
};

}  // namespace organ::train
