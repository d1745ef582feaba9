// SPDX-License-Identifier: Apache-2.0
#include "train/tokenizer/models/bpe.h"

#include <algorithm>
#include <bit>
#include <functional>

#include "format/base/fail.h"
#include "train/tokenizer/text/unicode.h"

namespace organ::train {
namespace {

// Longer pieces are not remembered, and no more words than this are (a few MB at most).
constexpr std::size_t kRememberedBytes = 128;
constexpr std::size_t kRememberedWords = 1 << 17;
constexpr std::uint32_t kEnd = UINT32_MAX;

std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
  return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
}

std::uint64_t mixed(std::uint64_t key) {
  key *= 0x9E3779B97F4A7C15u;
  return key ^ key >> 32;
}

}  // namespace

Bpe::Bpe(Vocabulary vocabulary, BpeConfig config, std::string_view subject)
    : TokenModel(std::move(vocabulary)), config_(std::move(config)) {
  index_tokens(subject);
  index_merges(subject);
  index_cuts();
}

std::optional<std::int32_t> Bpe::unk() const {
  return unk_ < 0 ? std::nullopt : std::optional(unk_);
}

std::unique_ptr<TokenModel::Session> Bpe::session() const {
  return std::make_unique<Session>(*this);
}

void Bpe::index_tokens(std::string_view subject) {
  characters_.assign(0x10000, -1);
  const std::vector<std::string>& tokens = vocabulary().tokens();
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].empty()) continue;
    const Decoded first = decode_utf8(tokens[i], 0);
    if (first.length == tokens[i].size() && first.code_point < 0x10000) {
      characters_[first.code_point] = static_cast<std::int32_t>(i);
    }
  }
  bytes_ = vocabulary().byte_ids();
  if (config_.unk_token.empty()) return;
  const auto unk = vocabulary().id_of(config_.unk_token);
  if (!unk) {
    fail(ErrorCode::corrupt, "{}: unk_token {} is not in the vocabulary", subject,
         quote(config_.unk_token));
  }
  unk_ = *unk;
}

void Bpe::index_merges(std::string_view subject) {
  merges_.resize(std::bit_ceil(2 * config_.merges.size() + 2));
  const auto known = [&](const std::string& token, std::size_t rank) {
    const auto id = vocabulary().id_of(token);
    if (!id) {
      fail(ErrorCode::corrupt, "{}: merge {} needs token {}, which is not in the vocabulary",
           subject, rank, quote(token));
    }
    return *id;
  };
  const std::size_t prefix = config_.continuing_subword_prefix.size();
  for (std::size_t rank = 0; rank < config_.merges.size(); ++rank) {
    const auto& [left, right] = config_.merges[rank];
    if (right.size() < prefix) {
      fail(ErrorCode::corrupt, "{}: merge {}: {} is shorter than the subword prefix", subject, rank,
           quote(right));
    }
    insert_merge({pair_key(known(left, rank), known(right, rank)), static_cast<std::uint32_t>(rank),
                  known(left + right.substr(prefix), rank)});
  }
}

// Text can be cut between two characters that no merge ever brings together: both sides then
// give the same ids alone. That makes long texts without pre-tokeniser (Llama) a row of words.
void Bpe::index_cuts() {
  if (!config_.continuing_subword_prefix.empty() || !config_.end_of_word_suffix.empty()) return;
  for (const auto& [left, right] : config_.merges) {
    const std::size_t last = previous_utf8(left, left.size());
    const std::string_view before = std::string_view(left).substr(last);
    const std::string_view after = std::string_view(right).substr(0, decode_utf8(right, 0).length);
    const auto before_id = vocabulary().id_of(before);
    const auto after_id = vocabulary().id_of(after);
    // A merge of byte tokens or of <unk> is not a merge of characters.
    for (const std::string* side : {&left, &right}) {
      const std::int32_t id = *vocabulary().id_of(*side);
      if (id == unk_ || std::ranges::find(bytes_, id) != bytes_.end()) return;
    }
    if (before_id && after_id) joined_.push_back(pair_key(*before_id, *after_id));
  }
  std::ranges::sort(joined_);
  joined_.erase(std::unique(joined_.begin(), joined_.end()), joined_.end());
  cuts_ = true;
}

void Bpe::insert_merge(const Merge& merge) {
  const std::size_t mask = merges_.size() - 1;
  std::size_t slot = mixed(merge.key) & mask;
  while (merges_[slot].key != UINT64_MAX && merges_[slot].key != merge.key) {
    slot = (slot + 1) & mask;
  }
  merges_[slot] = merge;  // of two equal pairs the later one counts
}

const Bpe::Merge* Bpe::find_merge(std::int32_t left, std::int32_t right) const {
  const std::uint64_t key = pair_key(left, right);
  const std::size_t mask = merges_.size() - 1;
  for (std::size_t slot = mixed(key) & mask; merges_[slot].key != UINT64_MAX;
       slot = (slot + 1) & mask) {
    if (merges_[slot].key == key) return &merges_[slot];
  }
  return nullptr;
}

bool Bpe::may_cut(std::int32_t left, std::int32_t right) const {
  return !std::ranges::binary_search(joined_, pair_key(left, right));
}

std::int32_t Bpe::id_of_character(std::string_view text, char32_t code_point) const {
  return code_point < 0x10000 ? characters_[code_point] : vocabulary().id_of(text).value_or(-1);
}

void Bpe::Session::encode(std::string_view piece, std::vector<std::int32_t>& out) {
  if (bpe_.config_.ignore_merges) {
    if (const auto id = bpe_.vocabulary().id_of(piece)) {
      out.push_back(*id);
      return;
    }
  }
  if (piece.size() <= kRememberedBytes || !bpe_.cuts_) return encode_remembered(piece, out);
  constexpr std::size_t kUntold = std::size_t{1} << 14;  // bytes
  std::size_t begin = 0, told = 0;
  std::int32_t previous = -1;
  for (std::size_t at = 0; at < piece.size();) {
    const Decoded next = decode_utf8(piece, at);
    const std::int32_t id = bpe_.id_of_character(piece.substr(at, next.length), next.code_point);
    if (previous >= 0 && id >= 0 && bpe_.may_cut(previous, id)) {
      encode_remembered(piece.substr(begin, at - begin), out);
      begin = at;
      if (at - told >= kUntold) reached(told = at);
    }
    previous = id;
    at += next.length;
  }
  encode_remembered(piece.substr(begin), out);
}

void Bpe::Session::encode_remembered(std::string_view piece, std::vector<std::int32_t>& out) {
  if (piece.size() > kRememberedBytes) return merge_piece(piece, out);
  const auto found = words_.find(piece);
  if (found != words_.end()) {
    const auto begin = ids_.begin() + static_cast<std::ptrdiff_t>(found->second.begin);
    out.insert(out.end(), begin, begin + static_cast<std::ptrdiff_t>(found->second.count));
    return;
  }
  const std::size_t before = out.size();
  merge_piece(piece, out);
  if (words_.size() >= kRememberedWords) return;
  words_.emplace(piece, Remembered{ids_.size(), out.size() - before});
  ids_.insert(ids_.end(), out.begin() + static_cast<std::ptrdiff_t>(before), out.end());
}

void Bpe::Session::merge_piece(std::string_view piece, std::vector<std::int32_t>& out) {
  symbols_.clear();
  add_symbols(piece);
  merge_symbols();
  for (const Symbol& symbol : symbols_) {
    if (symbol.alive) out.push_back(symbol.id);
  }
}

void Bpe::Session::add_symbol(std::int32_t id) {
  const auto at = static_cast<std::uint32_t>(symbols_.size());
  symbols_.push_back({id, at == 0 ? kEnd : at - 1, kEnd, true});
  if (at > 0) symbols_[at - 1].next = at;
}

// One symbol per character; what has none becomes its bytes, or the unknown token, or nothing.
// The unknown token waits for the next known character (so that a run can be fused), as in
// `tokenizers`, where bytes may overtake it.
void Bpe::Session::add_symbols(std::string_view piece) {
  const BpeConfig& config = bpe_.config_;
  const bool affixes =
      !config.continuing_subword_prefix.empty() || !config.end_of_word_suffix.empty();
  bool unknown_waits = false;
  std::string with_affixes;
  for (std::size_t at = 0; at < piece.size();) {
    const Decoded next = decode_utf8(piece, at);
    std::string_view text = piece.substr(at, next.length);
    std::int32_t id = -1;
    if (affixes) {
      with_affixes = at > 0 ? config.continuing_subword_prefix : std::string();
      with_affixes += text;
      if (at + next.length == piece.size()) with_affixes += config.end_of_word_suffix;
      text = with_affixes;
      id = bpe_.vocabulary().id_of(text).value_or(-1);
    } else {
      id = bpe_.id_of_character(text, next.code_point);
    }
    at += next.length;
    if (id >= 0) {
      if (std::exchange(unknown_waits, false)) add_symbol(bpe_.unk_);
      add_symbol(id);
      continue;
    }
    const auto byte_id = [&](char c) { return bpe_.bytes_[static_cast<unsigned char>(c)]; };
    if (config.byte_fallback &&
        std::ranges::all_of(text, [&](char c) { return byte_id(c) >= 0; })) {
      for (const char c : text) add_symbol(byte_id(c));
    } else if (bpe_.unk_ >= 0) {
      if (unknown_waits && !config.fuse_unk) add_symbol(bpe_.unk_);
      unknown_waits = true;
    }
  }
  if (unknown_waits) add_symbol(bpe_.unk_);
}

void Bpe::Session::offer(std::uint32_t left) {
  const Symbol& symbol = symbols_[left];
  if (symbol.next == kEnd) return;
  const Merge* merge = bpe_.find_merge(symbol.id, symbols_[symbol.next].id);
  if (merge != nullptr) queue_.push_back(std::uint64_t{merge->rank} << 32 | left);
}

void Bpe::Session::merge_symbols() {
  queue_.clear();
  for (std::uint32_t i = 0; i < symbols_.size(); ++i) offer(i);
  std::ranges::make_heap(queue_, std::greater());
  const auto offer_to_heap = [&](std::uint32_t left) {
    const std::size_t before = queue_.size();
    offer(left);
    if (queue_.size() > before) std::ranges::push_heap(queue_, std::greater());
  };
  while (!queue_.empty()) {
    std::ranges::pop_heap(queue_, std::greater());
    const auto rank = static_cast<std::uint32_t>(queue_.back() >> 32);
    const auto at = static_cast<std::uint32_t>(queue_.back());
    queue_.pop_back();
    Symbol& left = symbols_[at];
    if (!left.alive || left.next == kEnd) continue;
    Symbol& right = symbols_[left.next];
    const Merge* merge = bpe_.find_merge(left.id, right.id);
    if (merge == nullptr || merge->rank != rank) continue;  // the pair has changed since
    left.id = merge->id;
    left.next = right.next;
    right.alive = false;
    if (left.next != kEnd) symbols_[left.next].previous = at;
    if (left.previous != kEnd) offer_to_heap(left.previous);
    offer_to_heap(at);
  }
}

}  // namespace organ::train
