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

struct BpeConfig {
  std::vector<std::pair<std::string, std::string>> merges;  // by rank
  std::string unk_token;                                    // empty: none
  std::string continuing_subword_prefix;
  std::string end_of_word_suffix;
  bool fuse_unk = false;
  bool byte_fallback = false;
  bool ignore_merges = false;
};

class Bpe final : public TokenModel {
 public:
  // Throws corrupt when a merge or the unknown token names a token that is not in the vocabulary;
  // `subject` names the file.
  Bpe(Vocabulary vocabulary, BpeConfig config, std::string_view subject);

  std::optional<std::int32_t> unk() const override;
  std::unique_ptr<TokenModel::Session> session() const override;

 private:
  // Words it has met, as views, and scratch memory.
  class Session final : public TokenModel::Session {
   public:
    explicit Session(const Bpe& bpe) : bpe_(bpe) {}
    void encode(std::string_view piece, std::vector<std::int32_t>& out) override;
    void forget() override { words_.clear(); }

   private:
    struct Symbol {
      std::int32_t id;
      std::uint32_t previous, next;
      bool alive;
    };
    struct Remembered {
      std::size_t begin, count;  // in ids_
    };
    void encode_remembered(std::string_view piece, std::vector<std::int32_t>& out);
    void merge_piece(std::string_view piece, std::vector<std::int32_t>& out);
    void add_symbols(std::string_view piece);
    void add_symbol(std::int32_t id);
    void offer(std::uint32_t left);
    void merge_symbols();

    const Bpe& bpe_;
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
  const Merge* find_merge(std::int32_t left, std::int32_t right) const;
  void insert_merge(const Merge& merge);
  void index_tokens(std::string_view subject);
  void index_merges(std::string_view subject);
  void index_cuts();
  // The id of one character alone, -1 when the vocabulary has none.
  std::int32_t id_of_character(std::string_view text, char32_t code_point) const;
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
