// SPDX-License-Identifier: Apache-2.0
#include "train/tokenizer/text/unicode.h"

#include <algorithm>
#include <span>

#include "train/tokenizer/text/unicode_tables.h"

namespace organ::train {
namespace {

bool contains(std::span<const CodePointRange> ranges, char32_t c) {
  const auto range = std::ranges::lower_bound(ranges, std::uint32_t{c}, {}, &CodePointRange::last);
  return range != ranges.end() && range->first <= c;
}

struct Sequence {
  std::size_t length;  // of the sequence, or of the maximal broken part
  bool valid;
};

// The second byte decides overlong forms, surrogates and the upper end (Unicode 15.0, table 3-7).
bool is_second_byte(unsigned char lead, unsigned char second) {
  const unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  return second >= low && second <= high;
}

Sequence sequence_at(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {1, true};
  if (lead < 0xC2 || lead > 0xF4) return {1, false};
  const std::size_t need = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  for (std::size_t i = 1; i < need; ++i) {
    if (at + i >= text.size()) return {i, false};
    const bool follows = i == 1 ? is_second_byte(lead, byte(1)) : (byte(i) & 0xC0) == 0x80;
    if (!follows) return {i, false};
  }
  return {need, true};
}

}  // namespace

void append_utf8(std::string& out, char32_t c) {
  const auto put = [&](char32_t byte) { out += static_cast<char>(byte); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6);
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3F));
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

std::optional<std::size_t> find_invalid_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto [length, valid] = sequence_at(text, at);
    if (!valid) return at;
    at += length;
  }
  return std::nullopt;
}

std::string replace_invalid_utf8(std::string text) {
  const auto broken = find_invalid_utf8(text);
  if (!broken) return text;
  std::string out = text.substr(0, *broken);
  for (std::size_t at = *broken; at < text.size();) {
    const auto [length, valid] = sequence_at(text, at);
    out += valid ? std::string_view(text).substr(at, length) : "\uFFFD";
    at += length;
  }
  return out;
}

bool is_white_space(char32_t c) { return contains({kWhiteSpace, kWhiteSpaceSize}, c); }
bool is_numeric(char32_t c) { return contains({kNumeric, kNumericSize}, c); }
bool is_punctuation(char32_t c) { return contains({kPunctuation, kPunctuationSize}, c); }
bool is_word(char32_t c) { return contains({kWord, kWordSize}, c); }
bool is_combining_mark(char32_t c) { return contains({kCombiningMarks, kCombiningMarksSize}, c); }
bool is_nonspacing_mark(char32_t c) {
  return contains({kNonspacingMarks, kNonspacingMarksSize}, c);
}
bool is_bert_unwanted(char32_t c) { return contains({kBertUnwanted, kBertUnwantedSize}, c); }

void append_lower(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    return;
  }
  if (c == 0x130) {
    out += "i\u0307";
    return;
  }
  const std::span<const LowerRun> runs(kLower, kLowerSize);
  const auto run = std::ranges::lower_bound(runs, std::uint32_t{c}, {}, &LowerRun::last);
  const bool inside = run != runs.end() && run->first <= c && (c - run->first) % run->step == 0;
  append_utf8(out, inside ? static_cast<char32_t>(static_cast<std::int64_t>(c) + run->delta) : c);
}

}  // namespace organ::train
