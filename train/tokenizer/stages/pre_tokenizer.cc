// SPDX-License-Identifier: Apache-2.0
#include "train/tokenizer/stages/pre_tokenizer.h"

#include <algorithm>
#include <utility>

#include "train/tokenizer/stages/byte_level.h"
#include "train/tokenizer/text/unicode.h"

namespace organ::train {
namespace {

constexpr std::string_view kGpt2Split =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// A part of a piece: what matched, or what lies between two matches.
struct Part {
  std::uint32_t begin, end;
  bool matched;
};

// Adds the text between matches and the matches themselves, in order, to an emptied list.
class Parts {
 public:
  void start() {
    list_.clear();
    done_ = 0;
  }
  void match(std::size_t begin, std::size_t end) {
    gap(begin);
    list_.push_back({done_, static_cast<std::uint32_t>(end), true});
    done_ = static_cast<std::uint32_t>(end);
  }
  void finish(std::size_t size) { gap(size); }
  std::vector<Part>& list() { return list_; }

 private:
  void gap(std::size_t end) {
    if (done_ < end) list_.push_back({done_, static_cast<std::uint32_t>(end), false});
    done_ = static_cast<std::uint32_t>(end);
  }
  std::vector<Part> list_;
  std::uint32_t done_ = 0;
};

// Joins parts as `behavior` says; removed parts become empty.
void merge_parts(std::vector<Part>& parts, SplitBehavior behavior) {
  if (behavior == SplitBehavior::isolated) return;
  const std::size_t size = parts.size();
  if (behavior == SplitBehavior::merged_with_next) {
    for (std::size_t i = size; i-- > 1;) {
      // A match joins what follows unless that is a match itself.
      Part& left = parts[i - 1];
      Part& right = parts[i];
      const bool joins = left.matched && !right.matched;
      if (joins) right.begin = std::exchange(left.begin, left.end);
    }
    return;
  }
  std::size_t last = 0;  // the part that grows
  for (std::size_t i = 0; i < size; ++i) {
    Part& part = parts[i];
    const bool same = i > 0 && part.matched == parts[i - 1].matched;
    const bool joins = behavior == SplitBehavior::contiguous ? same
                       : behavior == SplitBehavior::merged_with_previous
                           ? i > 0 && part.matched && !parts[i - 1].matched
                           : false;
    if (behavior == SplitBehavior::removed && part.matched) {
      part.begin = part.end;
    } else if (joins) {
      parts[last].end = part.end;
      part.begin = part.end;
    } else {
      last = i;
    }
  }
}

// Cuts every piece; `find_parts(view, Parts&)` reports the matches of one piece.
template <typename FindParts>
void split_pieces(Pieces& pieces, SplitBehavior behavior, bool invert, FindParts find_parts) {
  std::vector<Span> out;
  out.reserve(pieces.spans.size());
  Parts parts;
  bool first_kept = true;
  for (std::size_t i = 0; i < pieces.spans.size(); ++i) {
    const Span span = pieces.spans[i];
    const std::string_view view = pieces.view(span);
    parts.start();
    find_parts(view, parts);
    parts.finish(view.size());
    if (invert) {
      for (Part& part : parts.list()) part.matched = !part.matched;
    }
    merge_parts(parts.list(), behavior);
    for (const Part& part : parts.list()) {
      if (part.begin < part.end) out.push_back({span.begin + part.begin, span.begin + part.end});
    }
    if (i == 0) first_kept = !out.empty() && out.front().begin == span.begin;
  }
  pieces.starts_at_zero = pieces.starts_at_zero && first_kept;
  pieces.spans = std::move(out);
}

template <typename Predicate>
void split_at_characters(Pieces& pieces, SplitBehavior behavior, Predicate predicate) {
  split_pieces(pieces, behavior, false, [&](std::string_view view, Parts& parts) {
    for (std::size_t at = 0; at < view.size();) {
      const Decoded next = decode_utf8(view, at);
      if (predicate(next.code_point)) parts.match(at, at + next.length);
      at += next.length;
    }
  });
}

void split_at_pattern(Pieces& pieces, const Pattern& pattern, SplitBehavior behavior, bool invert) {
  Search search(pattern);
  split_pieces(pieces, behavior, invert, [&](std::string_view view, Parts& parts) {
    for (auto match = search.find(view, 0); match; match = search.find(view, match->end)) {
      parts.match(match->begin, match->end);
      if (match->end == view.size()) break;
    }
  });
}

// Writes every piece anew with `write(index, view, out)`.
template <typename Write>
void rewrite_pieces(Pieces& pieces, Write write) {
  std::string out;
  out.reserve(pieces.text.size() + pieces.text.size() / 4);
  for (std::size_t i = 0; i < pieces.spans.size(); ++i) {
    const std::uint32_t begin = checked_position(out.size());
    write(i, pieces.view(pieces.spans[i]), out);
    pieces.spans[i] = {begin, checked_position(out.size())};
  }
  pieces.text = std::move(out);
}

class PreTokenizerSequence : public PreTokenizer {
 public:
  explicit PreTokenizerSequence(std::vector<PreTokenizerPtr> parts) : parts_(std::move(parts)) {}
  void apply(Pieces& pieces) const override {
    for (const auto& part : parts_) part->apply(pieces);
  }
  bool prepends() const override {
    return std::ranges::any_of(parts_, [](const auto& part) { return part->prepends(); });
  }
  bool asks_for_start() const override {
    return std::ranges::any_of(parts_, [](const auto& part) { return part->asks_for_start(); });
  }

 private:
  std::vector<PreTokenizerPtr> parts_;
};

class ByteLevel : public PreTokenizer {
 public:
  ByteLevel(bool add_prefix_space, bool use_regex)
      : add_prefix_space_(add_prefix_space),
        use_regex_(use_regex),
        split_(Pattern::regex(kGpt2Split, "ByteLevel")) {}

  void apply(Pieces& pieces) const override {
    if (add_prefix_space_) {
      rewrite_pieces(pieces, [](std::size_t, std::string_view view, std::string& out) {
        if (view.front() != ' ') out += ' ';
        out += view;
      });
    }
    if (use_regex_) split_at_pattern(pieces, split_, SplitBehavior::isolated, false);
    rewrite_pieces(pieces, [](std::size_t, std::string_view view, std::string& out) {
      static constexpr auto kCharacters = byte_level_characters();
      for (const char byte : view) {
        append_utf8(out, kCharacters[static_cast<unsigned char>(byte)]);
      }
    });
  }
  bool prepends() const override { return add_prefix_space_; }

 private:
  bool add_prefix_space_, use_regex_;
  Pattern split_;
};

class Split : public PreTokenizer {
 public:
  Split(Pattern pattern, SplitBehavior behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}
  void apply(Pieces& pieces) const override {
    split_at_pattern(pieces, pattern_, behavior_, invert_);
  }

 private:
  Pattern pattern_;
  SplitBehavior behavior_;
  bool invert_;
};

// Cuts at single characters of one class.
class CharacterSplit : public PreTokenizer {
 public:
  CharacterSplit(bool (*predicate)(char32_t), SplitBehavior behavior)
      : predicate_(predicate), behavior_(behavior) {}
  void apply(Pieces& pieces) const override { split_at_characters(pieces, behavior_, predicate_); }

 private:
  bool (*predicate_)(char32_t);
  SplitBehavior behavior_;
};

class Metaspace : public PreTokenizer {
 public:
  Metaspace(std::string replacement, PrependScheme scheme, bool split)
      : replacement_(std::move(replacement)),
        pattern_(Pattern::literal(replacement_)),
        scheme_(scheme),
        split_(split) {}

  void apply(Pieces& pieces) const override {
    rewrite_pieces(pieces, [&](std::size_t index, std::string_view view, std::string& out) {
      const bool wanted = scheme_ == PrependScheme::always ||
                          (scheme_ == PrependScheme::first && index == 0 && pieces.starts_at_zero);
      if (wanted && view.front() != ' ' && !view.starts_with(replacement_)) out += replacement_;
      for (const char c : view) {
        if (c == ' ') {
          out += replacement_;
        } else {
          out += c;
        }
      }
    });
    if (split_) split_at_pattern(pieces, pattern_, SplitBehavior::merged_with_next, false);
  }
  bool prepends() const override { return scheme_ != PrependScheme::never; }
  bool asks_for_start() const override { return scheme_ == PrependScheme::first; }

 private:
  std::string replacement_;
  Pattern pattern_;
  PrependScheme scheme_;
  bool split_;
};

// \w+|[^\w\s]+ as pieces, the rest dropped.
class Whitespace : public PreTokenizer {
 public:
  void apply(Pieces& pieces) const override {
    enum class Kind { none, word, other };
    split_pieces(pieces, SplitBehavior::removed, true, [](std::string_view view, Parts& parts) {
      Kind kind = Kind::none;
      std::size_t begin = 0;
      const auto close = [&](std::size_t end) {
        if (kind != Kind::none) parts.match(begin, end);
      };
      for (std::size_t at = 0; at < view.size();) {
        const Decoded next = decode_utf8(view, at);
        const Kind here = is_word(next.code_point)          ? Kind::word
                          : is_white_space(next.code_point) ? Kind::none
                                                            : Kind::other;
        if (here != kind) {
          close(at);
          begin = at;
          kind = here;
        }
        at += next.length;
      }
      close(view.size());
    });
  }
};

}  // namespace

PreTokenizerPtr make_pre_tokenizer_sequence(std::vector<PreTokenizerPtr> parts) {
  return std::make_unique<PreTokenizerSequence>(std::move(parts));
}
PreTokenizerPtr make_byte_level(bool add_prefix_space, bool use_regex) {
  return std::make_unique<ByteLevel>(add_prefix_space, use_regex);
}
PreTokenizerPtr make_split(Pattern pattern, SplitBehavior behavior, bool invert) {
  return std::make_unique<Split>(std::move(pattern), behavior, invert);
}
PreTokenizerPtr make_digits(bool individual) {
  return std::make_unique<CharacterSplit>(
      is_numeric, individual ? SplitBehavior::isolated : SplitBehavior::contiguous);
}
PreTokenizerPtr make_metaspace(std::string replacement, PrependScheme scheme, bool split) {
  return std::make_unique<Metaspace>(std::move(replacement), scheme, split);
}
PreTokenizerPtr make_whitespace() { return std::make_unique<Whitespace>(); }
PreTokenizerPtr make_whitespace_split() {
  return std::make_unique<CharacterSplit>(is_white_space, SplitBehavior::removed);
}
PreTokenizerPtr make_punctuation(SplitBehavior behavior) {
  return std::make_unique<CharacterSplit>(is_punctuation, behavior);
}

}  // namespace organ::train
