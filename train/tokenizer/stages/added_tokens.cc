// SPDX-License-Identifier: Apache-2.0
#include "train/tokenizer/stages/added_tokens.h"

#include <algorithm>
#include <utility>

#include "train/tokenizer/text/unicode.h"

namespace organ::train {
namespace {

bool word_ends_at(std::string_view text, std::size_t end) {
  return end > 0 && is_word(decode_utf8(text, previous_utf8(text, end)).code_point);
}

bool word_starts_at(std::string_view text, std::size_t begin) {
  return begin < text.size() && is_word(decode_utf8(text, begin).code_point);
}

std::size_t space_before(std::string_view text, std::size_t end) {
  while (end > 0) {
    const std::size_t previous = previous_utf8(text, end);
    if (!is_white_space(decode_utf8(text, previous).code_point)) break;
    end = previous;
  }
  return end;
}

std::size_t space_after(std::string_view text, std::size_t begin) {
  while (begin < text.size()) {
    const Decoded next = decode_utf8(text, begin);
    if (!is_white_space(next.code_point)) break;
    begin += next.length;
  }
  return begin;
}

}  // namespace

void AddedTokenFinder::add(const AddedToken& token) {
  const std::string_view content = token.content;
  if (content.empty()) return;
  starts_[static_cast<unsigned char>(content.front())] = true;
  std::uint32_t node = 0;
  for (const char c : content) {
    const auto fresh = static_cast<std::uint32_t>(nodes_.size());
    const auto [edge, inserted] =
        nodes_[node].next.try_emplace(static_cast<unsigned char>(c), fresh);
    node = edge->second;
    if (inserted) nodes_.emplace_back();
  }
  nodes_[node].token = static_cast<std::int32_t>(tokens_.size());
  tokens_.push_back(token);
}

AddedTokenFinder::Found AddedTokenFinder::longest_at(std::string_view text, std::size_t at) const {
  Found found{-1, at};
  std::uint32_t node = 0;
  for (std::size_t i = at; i < text.size(); ++i) {
    const auto edge = nodes_[node].next.find(static_cast<unsigned char>(text[i]));
    if (edge == nodes_[node].next.end()) break;
    node = edge->second;
    if (nodes_[node].token >= 0) found = {nodes_[node].token, i + 1};
  }
  return found;
}

std::vector<TokenOrText> AddedTokenFinder::split(std::string_view text, bool split_special) const {
  std::vector<TokenOrText> out;
  std::size_t done = 0;
  const auto push = [&](std::int32_t id, std::size_t begin, std::size_t end) {
    if (begin < end) {
      out.push_back({id, {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)}});
    }
  };
  for (std::size_t at = 0; !empty() && at < text.size();) {
    const Found found =
        starts_[static_cast<unsigned char>(text[at])] ? longest_at(text, at) : Found{-1, at};
    if (found.token < 0) {
      ++at;
      continue;
    }
    const std::size_t begin = std::exchange(at, found.end);
    const AddedToken& token = tokens_[static_cast<std::size_t>(found.token)];
    if (token.special && split_special) continue;
    if (token.single_word && (word_ends_at(text, begin) || word_starts_at(text, found.end))) {
      continue;
    }
    const std::size_t from = token.lstrip ? std::max(space_before(text, begin), done) : begin;
    const std::size_t to = token.rstrip ? space_after(text, found.end) : found.end;
    push(-1, done, from);
    push(token.id, from, to);
    done = to;
  }
  push(-1, done, text.size());
  return out;
}

}  // namespace organ::train
