// SPDX-License-Identifier: Apache-2.0
// The patterns of tokenizer.json (literal text, or a regex of Oniguruma) and of Python, run by
// PCRE2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace organ::train {

// The same language in PCRE2 (with UTF and UCP) as `pattern` in Oniguruma's Ruby syntax. Only
// constructs known to mean the same are let through; anything else throws incompatible with
// `subject`, the construct and its byte offset.
std::string pcre2_from_oniguruma(std::string_view pattern, std::string_view subject);

// Where Python would compile a pattern: alone, or inside another, where flags for the whole are no
// Python and groups have other numbers.
enum class PythonPlace { alone, inside_another };

// The same language in PCRE2 (with UTF, without UCP) over ASCII texts without line feeds as
// `pattern` in Python's re; every group it opens is closed. Throws incompatible as the other does,
// also for what Python refuses.
std::string pcre2_from_python(std::string_view pattern, PythonPlace place,
                              std::string_view subject);

struct Match {
  std::size_t begin, end;  // bytes; empty only of a pattern for whole texts
};

// Immutable and thread-safe; shared by the searches made of it.
class Pattern {
 public:
  // Matches these bytes. Not empty: a search of one match after the other would stand still.
  static Pattern literal(std::string text);
  // Throws incompatible (see above; also for a regex that can match the empty string, on which a
  // search of one match after the other would stand still).
  static Pattern regex(std::string_view oniguruma, std::string_view subject);
  // For one search in an ASCII text without line feeds: a regex of Python's between two of PCRE2.
  // It may match the empty string.
  static Pattern python(std::string_view regex, std::string_view before, std::string_view after,
                        PythonPlace place, std::string_view subject);
  Pattern(Pattern&&) noexcept;
  ~Pattern();

 private:
  friend class Search;
  struct Code;
  Pattern();
  // `shown` is what the file says, `options` are PCRE2's beside those of every pattern.
  static Pattern compile(std::string_view pcre2, std::uint32_t options, std::string_view shown,
                         std::string_view subject);
  std::string literal_;
  std::unique_ptr<Code> code_;  // null for literal text
};

// Leftmost matches one after the other. One thread at a time; borrows the pattern.
class Search {
 public:
  explicit Search(const Pattern& pattern);
  ~Search();

  // The first match in `text` at or after `from` (valid UTF-8 borders); nullopt: none. What stands
  // before `from` is seen by lookbehind and anchors. Throws invalid_argument when the regex gives
  // up on the text (PCRE2's match limit).
  std::optional<Match> find(std::string_view text, std::size_t from);

 private:
  struct State;
  const Pattern* pattern_;
  std::unique_ptr<State> state_;
};

}  // namespace organ::train
