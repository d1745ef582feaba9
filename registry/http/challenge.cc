// SPDX-License-Identifier: Apache-2.0
#include "registry/http/challenge.h"

#include <algorithm>
#include <optional>

namespace organ::registry {
namespace {

bool is_token_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  bool at_end() const { return at_ == text_.size(); }
  bool skip(char c) {
    if (at_end() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void skip_spaces() {
    while (!at_end() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
  }
  void skip_separators() {
    while (!at_end() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == ',')) ++at_;
  }
  std::string token() {
    const std::size_t start = at_;
    while (!at_end() && is_token_character(text_[at_])) ++at_;
    std::string word(text_.substr(start, at_ - start));
    return word;
  }
  // A token or a quoted string; nullopt when it is neither.
  std::optional<std::string> value() {
    if (!skip('"')) {
      std::string word = token();
      if (word.empty()) return std::nullopt;
      return word;
    }
    std::string out;
    while (!at_end()) {
      const char c = text_[at_++];
      if (c == '"') return out;
      if (c == '\\' && !at_end()) {
        out += text_[at_++];
      } else {
        out += c;
      }
    }
    return std::nullopt;
  }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

std::string lowered(std::string text) {
  std::ranges::transform(text, text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text;
}

std::vector<Challenge> parse_challenges(std::string_view header) {
  std::vector<Challenge> found;
  Reader reader(header);
  for (reader.skip_separators(); !reader.at_end(); reader.skip_separators()) {
    // A word followed by `=` is a parameter of the last challenge, else the next scheme.
    const std::string word = lowered(reader.token());
    if (word.empty()) break;
    reader.skip_spaces();
    if (!reader.skip('=')) {
      found.push_back({word, {}});
      continue;
    }
    reader.skip_spaces();
    auto value = reader.value();
    if (!value || found.empty()) break;
    found.back().parameters.emplace(word, *std::move(value));
  }
  return found;
}

}  // namespace organ::registry
