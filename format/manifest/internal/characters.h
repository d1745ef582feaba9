// SPDX-License-Identifier: Apache-2.0
// What the grammars of names and versions are made of: ASCII alone, whatever the locale.
#pragma once

#include <string_view>

namespace organ::format::internal {

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
inline bool is_lower_alnum(char c) { return is_digit(c) || (c >= 'a' && c <= 'z'); }

// Calls `visit` with each piece of `text` between separators, in order; an empty text is one empty
// piece, and so is what stands before, between or behind separators without a text. The separator
// is not empty. Pieces are views of `text`.
template <typename Visit>
void split(std::string_view text, std::string_view separator, Visit&& visit) {
  for (std::size_t end; (end = text.find(separator)) != std::string_view::npos;) {
    visit(text.substr(0, end));
    text.remove_prefix(end + separator.size());
  }
  visit(text);
}

}  // namespace organ::format::internal
