// SPDX-License-Identifier: Apache-2.0
#include "train/tokenizer/text/grapheme.h"

#include <algorithm>
#include <span>

#include "train/tokenizer/text/unicode.h"
#include "train/tokenizer/text/unicode_tables.h"

namespace organ::train {
namespace {

using Class = GraphemeClass;

constexpr char32_t kHangulFirst = 0xAC00, kHangulLast = 0xD7A3, kHangulFinals = 28;

Class grapheme_class(char32_t c) {
  if (c >= 0x20 && c < 0x7F) return Class::other;
  if (c == '\r') return Class::carriage_return;
  if (c == '\n') return Class::line_feed;
  if (c >= kHangulFirst && c <= kHangulLast) {
    return (c - kHangulFirst) % kHangulFinals == 0 ? Class::hangul_lv : Class::hangul_lvt;
  }
  if (c >= 0x1F1E6 && c <= 0x1F1FF) return Class::regional_indicator;
  const std::span<const GraphemeRange> ranges(kGraphemes, kGraphemesSize);
  const auto range = std::ranges::lower_bound(ranges, std::uint32_t{c}, {}, &GraphemeRange::last);
  return range != ranges.end() && range->first <= c ? range->value : Class::other;
}

bool is_control(Class c) {
  return c == Class::control || c == Class::carriage_return || c == Class::line_feed;
}

bool is_extend(Class c) {
  return c == Class::extend || c == Class::conjunct_extend || c == Class::linker;
}

// What the rules ask of a cluster besides its last character.
class Cluster {
 public:
  explicit Cluster(Class first) { add(first); }

  // Rules GB3 to GB13.
  bool joins(Class next) const {
    if (last_ == Class::carriage_return) return next == Class::line_feed;
    if (is_control(last_) || is_control(next)) return false;
    if (is_extend(next) || next == Class::zero_width_joiner || next == Class::spacing_mark) {
      return true;
    }
    return last_ == Class::prepend || joins_hangul(next) || joins_conjunct(next) ||
           (emoji_ == Emoji::joiner && next == Class::pictographic) ||
           (indicators_ == 1 && next == Class::regional_indicator);
  }

  void add(Class next) {
    emoji_ = next == Class::pictographic                                 ? Emoji::base
             : emoji_ == Emoji::base && is_extend(next)                  ? Emoji::base
             : emoji_ == Emoji::base && next == Class::zero_width_joiner ? Emoji::joiner
                                                                         : Emoji::none;
    conjunct_ = next == Class::consonant                               ? Conjunct::base
                : conjunct_ != Conjunct::none && next == Class::linker ? Conjunct::linked
                : next == Class::conjunct_extend || next == Class::zero_width_joiner
                    ? conjunct_
                    : Conjunct::none;
    indicators_ = next == Class::regional_indicator ? indicators_ + 1 : 0;
    last_ = next;
  }

 private:
  bool joins_hangul(Class next) const {
    switch (last_) {
      case Class::hangul_l:
        return next == Class::hangul_l || next == Class::hangul_v || next == Class::hangul_lv ||
               next == Class::hangul_lvt;
      case Class::hangul_lv:
      case Class::hangul_v: return next == Class::hangul_v || next == Class::hangul_t;
      case Class::hangul_lvt:
      case Class::hangul_t: return next == Class::hangul_t;
      default: return false;
    }
  }
  bool joins_conjunct(Class next) const {
    return conjunct_ == Conjunct::linked && next == Class::consonant;
  }

  enum class Emoji { none, base, joiner };
  enum class Conjunct { none, base, linked };
  Class last_ = Class::other;
  Emoji emoji_ = Emoji::none;
  Conjunct conjunct_ = Conjunct::none;
  int indicators_ = 0;
};

}  // namespace

std::size_t grapheme_end(std::string_view text, std::size_t at) {
  const Decoded first = decode_utf8(text, at);
  Cluster cluster(grapheme_class(first.code_point));
  at += first.length;
  while (at < text.size()) {
    const Decoded next = decode_utf8(text, at);
    const Class value = grapheme_class(next.code_point);
    if (!cluster.joins(value)) break;
    cluster.add(value);
    at += next.length;
  }
  return at;
}

}  // namespace organ::train
