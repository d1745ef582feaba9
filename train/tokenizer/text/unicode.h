// SPDX-License-Identifier: Apache-2.0
// UTF-8 and the character classes of the PyPI package `tokenizers`. All functions are pure.
// Positions and lengths are bytes. What asks for valid UTF-8 checks nothing and may read beyond a
// text that is not: find_invalid_utf8() is asked once, before all else.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace organ::train {

struct Decoded {
  char32_t code_point;
  std::size_t length;  // bytes of its sequence, 1-4
};

// The code point at `at`; the text must be valid UTF-8 and `at` the start of a sequence.
inline Decoded decode_utf8(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) {
    return static_cast<char32_t>(static_cast<unsigned char>(text[at + i]));
  };
  const char32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xE0) return {(lead & 0x1F) << 6 | (byte(1) & 0x3F), 2};
  if (lead < 0xF0) return {(lead & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), 3};
  return {(lead & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F),
          4};
}

// The start of the sequence that ends before `end` (end > 0, valid UTF-8).
inline std::size_t previous_utf8(std::string_view text, std::size_t end) {
  do {
    --end;
  } while ((static_cast<unsigned char>(text[end]) & 0xC0) == 0x80);
  return end;
}

// One to four bytes. The code point must be a Unicode scalar value; this is not checked.
void append_utf8(std::string& out, char32_t code_point);

// Byte offset of the first sequence that is not UTF-8 (overlong forms, surrogates and values
// above U+10FFFF are not); nullopt: all is valid, as an empty text is.
std::optional<std::size_t> find_invalid_utf8(std::string_view text);

// Every maximal broken part becomes one U+FFFD (Unicode 15.0, 3.9; as Rust's from_utf8_lossy). A
// valid text comes back as it is; another may get longer.
std::string replace_invalid_utf8(std::string text);

// By the Unicode versions of the package, not of the system; false for what is no code point.
bool is_white_space(char32_t c);      // White_Space
bool is_numeric(char32_t c);          // N
bool is_punctuation(char32_t c);      // what the Punctuation pre-tokeniser cuts at
bool is_word(char32_t c);             // \w of Rust's regex crate
bool is_combining_mark(char32_t c);   // what StripAccents takes out
bool is_nonspacing_mark(char32_t c);  // what BertNormalizer takes out of a decomposed text
bool is_bert_unwanted(char32_t c);    // and what it cleans away: controls, unassigned and others
// Appends the lower case of `c`: one code point, except U+0130, which gives two. Without regard to
// what stands around it or to a language; `c` itself where it has none.
void append_lower(std::string& out, char32_t c);

// The text without the characters that `keep` refuses; returns whether the first one stayed. In
// place; the text must be valid UTF-8 and stays so. `keep` is asked of each code point once, in
// order. An empty text gives true.
template <typename Keep>
bool filter_characters(std::string& text, Keep keep) {
  std::size_t kept = 0;
  bool first_kept = true;
  for (std::size_t at = 0; at < text.size();) {
    const Decoded next = decode_utf8(text, at);
    if (keep(next.code_point)) {
      std::copy_n(text.data() + at, next.length, text.data() + kept);
      kept += next.length;
    } else if (at == 0) {
      first_kept = false;
    }
    at += next.length;
  }
  text.resize(kept);
  return first_kept;
}

}  // namespace organ::train
