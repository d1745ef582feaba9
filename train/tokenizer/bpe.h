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

namespace organ::train {

struct BpeConfig {
  std::vector<std::string> tokens;  // by id; an empty text is an id without token
  std::vector<std::pair<std::string, std::string>> merges;  // by rank
  std::string unk_token;                                    // empty: none
  std::string continuing_subword_prefix;
  std::string end_of_word_suffix;
  bool fuse_unk = false;
  bool byte_fallback = false;
  bool ignore_merges = false;
};

// Immutable and thread-safe.
class Bpe {
 public:
  // Throws corrupt when a merge or the unknown token names a token that is not in the vocabulary;
  // `subject` names the file.
  Bpe(BpeConfig config, std::string_view subject);

  std::optional<std::int32_t> id_of(std::string_view token) const;
  bool has(std::int32_t id) const {
    const auto index = static_cast<std::size_t>(id);
    return id >= 0 && index < config_.tokens.size() && !config_.tokens[index].empty();
  }
  // The text of an id that has() a token.
  const std::string& token(std::int32_t id) const {
    return config_.tokens[static_cast<std::size_t>(id)];
  }
  std::uint32_t token_count() const { return static_cast<std::uint32_t>(ids_.size()); }
  // One more than the largest id.
  std::uint32_t size() const { return static_cast<std::uint32_t>(config_.tokens.size()); }
  const BpeConfig& config() const { return config_; }

  // What one encode() call remembers: words it has met and scratch memory. One thread at a time;
  // keeps views of the pieces, which must outlive it.
  class Session {
   public:
    explicit Session(const Bpe& bpe) : bpe_(bpe) {}
    // Appends the ids of one piece. O(n log n) in the bytes of the piece.
    void encode(std::string_view piece, std::vector<std::int32_t>& out);
    // The pieces met so far are about to change or go away.
    void forget() { words_.clear(); }

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

 private:
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
  std::unordered_map<std::string_view, std::int32_t> ids_;
  std::vector<std::int32_t> characters_;  // ids of U+0000-U+FFFF, -1 for none
  std::vector<std::int32_t> bytes_;       // ids of <0x00>-<0xFF>, -1 for none
  std::vector<Merge> merges_;             // open addressing, a power of two
  std::vector<std::uint64_t> joined_;     // sorted pairs of characters inside some merge
  bool cuts_ = false;
  std::int32_t unk_ = -1;
};

}  // namespace organ::train
