// SPDX-License-Identifier: Apache-2.0
// The patterns of tokenizer.json: literal text, or an Oniguruma regex run by PCRE2.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace organ::train {

// The same language in PCRE2 (with UTF and UCP) as `pattern` in Oniguruma's Ruby syntax. Only
// constructs known to mean the same are let through; anything else throws incompatible with
// `subject`, the construct and its byte offset.
std::string pcre2_from_oniguruma(std::string_view pattern, std::string_view subject);

struct Match {
  std::size_t begin, end;  // bytes; empty only of a pattern for whole texts
};

// Immutable and thread-safe; shared by the searches made of it.
class Pattern {
 public:
  static Pattern literal(std::string text);
  // Throws incompatible (see above; also for a regex that can match the empty string, on which a
  // search of one match after the other would stand still).
  static Pattern regex(std::string_view oniguruma, std::string_view subject);
  // For one search in a text: the regex may match the empty string.
  static Pattern regex_of_whole(std::string_view oniguruma, std::string_view subject);
  Pattern(Pattern&&) noexcept;
  ~Pattern();

 private:
  friend class Search;
  struct Code;
  Pattern();
  static Pattern compile(std::string_view oniguruma, std::string_view subject);
  std::string literal_;
  std::unique_ptr<Code> code_;  // null for literal text
};

// Leftmost matches one after the other. One thread at a time; borrows the pattern.
class Search {
 public:
  explicit Search(const Pattern& pattern);
  ~Search();

  // The first match in `text` at or after `from` (valid UTF-8 borders). Throws invalid_argument
  // when the regex gives up on the text (PCRE2's match limit).
  std::optional<Match> find(std::string_view text, std::size_t from);

 private:
  struct State;
  const Pattern* pattern_;
  std::unique_ptr<State> state_;
};

}  // namespace organ::train
