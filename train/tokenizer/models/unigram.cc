// SPDX-License-Identifier: Apache-2.0
#include "train/tokenizer/models/unigram.h"

#include <algorithm>

#include "format/base/fail.h"
#include "train/tokenizer/text/unicode.h"

namespace organ::train {
namespace {

// How much worse than the worst token an unknown character is (sentencepiece's kUnkPenalty).
constexpr double kUnknownPenalty = 10;

}  // namespace

Unigram::Unigram(Vocabulary vocabulary, UnigramConfig config)
    : TokenModel(std::move(vocabulary)),
      config_(std::move(config)),
      trie_(this->vocabulary().tokens()) {
  check(config_.scores.size() == this->vocabulary().size(), "a score for every token");
  unknown_score_ = std::ranges::min(config_.scores) - kUnknownPenalty;
  if (!config_.byte_fallback) return;
  bytes_ = this->vocabulary().byte_ids();
}

std::unique_ptr<TokenModel::Session> Unigram::session() const {
  return std::make_unique<Session>(*this);
}

void Unigram::Session::encode(std::string_view piece, std::vector<std::int32_t>& out) {
  base_ = unknown_begin_ = unknown_end_ = 0;
  arrivals_.assign(1, {});
  constexpr std::size_t kUntold = std::size_t{1} << 14;  // bytes
  std::size_t told = 0;
  for (std::size_t at = 0; at < piece.size();) {
    // Nothing reaches beyond this place, so every path goes through it.
    if (at == base_ + arrivals_.size() - 1) finish_segment(piece, at, out);
    if (at - told >= kUntold) reached(told = at);
    const std::size_t length = decode_utf8(piece, at).length;
    extend(piece, at, length);
    at += length;
  }
  finish_segment(piece, piece.size(), out);
  finish_unknown(piece, out);
}

// All tokens that begin at `at`, where a character of `length` bytes stands.
void Unigram::Session::extend(std::string_view piece, std::size_t at, std::size_t length) {
  const double score = arrivals_[at - base_].score;
  bool single = false;
  TokenTrie::Node node = TokenTrie::kRoot;
  for (std::size_t i = at; i < piece.size(); ++i) {
    node = model_.trie_.step(node, static_cast<unsigned char>(piece[i]));
    if (node == TokenTrie::kNone) break;
    const std::int32_t id = model_.trie_.id(node);
    if (id < 0) continue;
    arrive(at, i + 1, model_.config_.scores[static_cast<std::size_t>(id)] + score, id);
    single = single || i + 1 == at + length;
  }
  if (single) return;
  if (!model_.config_.unk_id) {
    fail(ErrorCode::invalid_argument,
         "text: {} is in no token and the tokenizer has no unknown token",
         quote(piece.substr(at, length)));
  }
  arrive(at, at + length, model_.unknown_score_ + score, *model_.config_.unk_id);
}

void Unigram::Session::arrive(std::size_t from, std::size_t to, double score, std::int32_t id) {
  const std::size_t target = to - base_;
  if (target >= arrivals_.size()) arrivals_.resize(target + 1);
  Arrival& arrival = arrivals_[target];
  if (arrival.start != UINT32_MAX && !(score > arrival.score)) return;
  arrival = {score, static_cast<std::uint32_t>(from - base_), id};
}

// The tokens of the best path up to `end`, where the next segment begins with the sum so far.
void Unigram::Session::finish_segment(std::string_view piece, std::size_t end,
                                      std::vector<std::int32_t>& out) {
  path_.clear();
  for (std::size_t at = end - base_; at > 0; at = arrivals_[at].start) {
    path_.push_back(arrivals_[at]);
  }
  for (std::size_t i = path_.size(); i-- > 0;) {
    const std::size_t token_begin = base_ + path_[i].start;
    const std::size_t token_end = i == 0 ? end : base_ + path_[i - 1].start;
    if (model_.config_.unk_id == path_[i].id) {
      if (unknown_begin_ == unknown_end_) unknown_begin_ = token_begin;
      unknown_end_ = token_end;
    } else {
      finish_unknown(piece, out);
      out.push_back(path_[i].id);
    }
  }
  Arrival start;
  start.score = arrivals_[end - base_].score;
  arrivals_.assign(1, start);
  base_ = end;
}

// A fused run is looked up as a whole (it may be a token with a bad score), then as bytes.
void Unigram::Session::finish_unknown(std::string_view piece, std::vector<std::int32_t>& out) {
  if (unknown_begin_ == unknown_end_) return;
  const std::string_view run = piece.substr(unknown_begin_, unknown_end_ - unknown_begin_);
  unknown_begin_ = unknown_end_;
  if (const auto id = model_.vocabulary().id_of(run)) {
    out.push_back(*id);
    return;
  }
  const auto byte_id = [&](char c) { return model_.bytes_[static_cast<unsigned char>(c)]; };
  if (!model_.bytes_.empty() && std::ranges::all_of(run, [&](char c) { return byte_id(c) >= 0; })) {
    for (const char c : run) out.push_back(byte_id(c));
  } else {
    out.push_back(*model_.config_.unk_id);
  }
}

}  // namespace organ::train
