// SPDX-License-Identifier: Apache-2.0
// Oniguruma (Ruby syntax, UTF-8) to PCRE2. They differ in what \s, \d, \w and \p{..} hold, in
// nested classes, in \xHH, in quantified intervals, in ^ and in multi-character case folding:
// each is rewritten so that it means the same or refused.
// Sources: Oniguruma doc/RE; pcre2pattern(3); compared code point by code point with `tokenizers`.
#include <algorithm>
#include <charconv>
#include <span>
#include <vector>

#include "format/base/fail.h"
#include "train/tokenizer/text/regex.h"
#include "train/tokenizer/text/unicode.h"
#include "train/tokenizer/text/unicode_tables.h"

namespace organ::train {
namespace {

// White_Space. PCRE2's own \s also holds U+180E.
constexpr std::string_view kSpaceItems =
    "\\x{9}-\\x{D}\\x{20}\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}"
    "\\x{205F}\\x{3000}";

bool is_alphanumeric(char32_t c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

class Translator {
 public:
  Translator(std::string_view pattern, std::string_view subject)
      : pattern_(pattern), subject_(subject) {}

  std::string translate() {
    while (!done()) step();
    if (!groups_.empty()) refuse("an open group");
    return std::move(out_);
  }

 private:
  // One member of a class: a set (\s, \p{..}) or one code point.
  struct Item {
    std::string text;
    bool single;
  };

  bool done() const { return at_ >= pattern_.size(); }
  bool looking_at(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }
  bool caseless() const { return !groups_.empty() && groups_.back(); }

  [[noreturn]] void refuse(std::string_view what) const {
    fail(ErrorCode::incompatible, "{}: regex {}: {} at byte {} is not supported", subject_,
         quote(pattern_), what, at_);
  }

  bool take(std::string_view text) {
    if (!looking_at(text)) return false;
    at_ += text.size();
    return true;
  }

  char32_t take_code_point() {
    if (done()) refuse("an end after a backslash or in a class");
    const Decoded next = decode_utf8(pattern_, at_);
    at_ += next.length;
    return next.code_point;
  }

  static std::string escaped(char32_t c) {
    return fmt::format("\\x{{{:X}}}", static_cast<std::uint32_t>(c));
  }

  void step() {
    if (looking_at("(")) return open_group();
    if (looking_at("[")) return character_class();
    if (looking_at("\\")) return escape();
    if (take(")")) {
      if (groups_.empty()) refuse("a ')' too many");
      groups_.pop_back();
      out_ += ')';
      quantifier();
    } else if (take("|")) {
      previous_ = 0;
      out_ += '|';
    } else if (take("^")) {
      out_ += "(?m:^)";
    } else if (take("$")) {
      out_ += "(?m:$)";
    } else if (take(".")) {
      set("[^\\n]");
    } else {
      if (looking_at("*") || looking_at("+") || looking_at("?") || looking_at("{")) {
        refuse("a quantifier without operand");
      }
      literal(take_code_point());
    }
  }

  void open_group() {
    static constexpr std::string_view kKinds[] = {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>"};
    bool fold = caseless();
    std::string_view opening = "(";
    if (take("(?i:")) {
      opening = "(?i:";
      fold = true;
    } else if (const auto kind =
                   std::ranges::find_if(kKinds, [&](std::string_view k) { return looking_at(k); });
               kind != std::end(kKinds)) {
      opening = *kind;
      at_ += opening.size();
    } else {
      take("(");
      if (looking_at("?") || looking_at("*")) refuse("this kind of group");
    }
    groups_.push_back(fold);
    out_ += opening;
  }

  // A set of code points as one PCRE2 atom.
  void set(std::string_view text) {
    if (caseless()) refuse("a set in a caseless group");
    out_ += text;
    quantifier();
  }

  void literal(char32_t c) {
    if (caseless()) check_fold(c);
    out_ += escaped(c);
    quantifier();
  }

  // Oniguruma folds "ss" to U+00DF, "fi" to U+FB01 and so on; PCRE2 folds one to one only.
  void check_fold(char32_t c) {
    if (c >= 0x80) refuse("a letter beyond ASCII in a caseless group");
    const char32_t lower = c >= 'A' && c <= 'Z' ? c + 32 : c;
    const bool folds = (previous_ == 's' && (lower == 's' || lower == 't')) ||
                       (previous_ == 'f' && (lower == 'f' || lower == 'i' || lower == 'l'));
    if (folds) refuse("a letter pair with its own case folding");
    previous_ = lower;
  }

  void escape() {
    take("\\");
    if (looking_at("p") || looking_at("P")) {
      const bool negated = looking_at("P");
      set(fmt::format("[{}{}]", negated ? "^" : "", property()));
    } else if (take("s")) {
      set(fmt::format("[{}]", kSpaceItems));
    } else if (take("S")) {
      set(fmt::format("[^{}]", kSpaceItems));
    } else if (take("d")) {
      set(fmt::format("[{}]", property_items("Nd")));
    } else if (take("D")) {
      set(fmt::format("[^{}]", property_items("Nd")));
    } else {
      literal(escaped_code_point());
    }
  }

  std::string property_items(std::string_view name) const {
    const std::span<const PropertyAdditions> known(kAdditions, kAdditionsSize);
    const auto found = std::ranges::find_if(
        known, [&](const PropertyAdditions& entry) { return entry.name == name; });
    if (found == known.end()) refuse("property " + quote(name));
    return fmt::format("\\p{{{}}}{}", name, found->class_items);
  }

  // After the backslash, at p or P.
  std::string property() {
    ++at_;
    const std::size_t end = pattern_.find('}', at_);
    if (!looking_at("{") || end == std::string_view::npos) refuse("a property without {name}");
    std::string items = property_items(pattern_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return items;
  }

  // After the backslash: an escape that stands for one code point.
  char32_t escaped_code_point() {
    static constexpr std::pair<char, char32_t> kControls[] = {
        {'n', 0x0A}, {'r', 0x0D}, {'t', 0x09}, {'f', 0x0C}, {'v', 0x0B}, {'a', 0x07}, {'e', 0x1B}};
    for (const auto& [letter, value] : kControls) {
      if (take(std::string_view(&letter, 1))) return value;
    }
    if (take("x{")) return hexadecimal(8, "}");
    if (take("u")) return hexadecimal(4, "");
    if (take("x")) {
      const char32_t byte = hexadecimal(2, "");
      if (byte >= 0x80) refuse("a raw byte");
      return byte;
    }
    const char32_t c = take_code_point();
    if (is_alphanumeric(c)) refuse("escape " + quote(std::string("\\") + static_cast<char>(c)));
    return c;
  }

  // Up to `digits` hexadecimal digits before `end`, exactly so many where nothing ends them.
  char32_t hexadecimal(std::size_t digits, std::string_view end) {
    const std::size_t length =
        end.empty() ? digits : std::min(pattern_.find(end, at_), pattern_.size()) - at_;
    const std::string_view text = pattern_.substr(at_, length);
    std::uint32_t value = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (error != std::errc() || stop != text.data() + text.size() || text.size() > digits ||
        text.size() != length || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
      refuse("a bad hexadecimal escape");
    }
    at_ += length;
    if (!take(end)) refuse("a bad hexadecimal escape");
    return value;
  }

  void character_class() {
    take("[");
    std::string text = take("^") ? "[^" : "[";
    if (looking_at("]")) refuse("an empty class");
    bool first = true;
    while (!take("]")) {
      if (done()) refuse("an open class");
      if (looking_at("[")) refuse("a nested class");
      if (looking_at("&&")) refuse("an intersection of classes");
      if (looking_at("-") && !first && pattern_.substr(at_ + 1, 1) != "]") refuse("a bare '-'");
      text += class_member();
      first = false;
    }
    set(text + "]");
  }

  // One set, one code point or one range.
  std::string class_member() {
    const Item low = class_item();
    const bool range = low.single && looking_at("-") && pattern_.substr(at_ + 1, 1) != "]";
    if (!range) return low.text;
    take("-");
    if (looking_at("[")) refuse("a nested class");
    const Item high = class_item();
    if (!high.single) refuse("a range that ends in a set");
    return low.text + "-" + high.text;
  }

  Item class_item() {
    if (!take("\\")) return {escaped(take_code_point()), true};
    if (looking_at("p{")) return {property(), false};
    if (take("s")) return {std::string(kSpaceItems), false};
    if (take("S")) return {"\\S\\x{180E}", false};
    if (take("d")) return {property_items("Nd"), false};
    return {escaped(escaped_code_point()), true};
  }

  void quantifier() {
    if (looking_at("{")) return interval();
    if (!looking_at("*") && !looking_at("+") && !looking_at("?")) return;
    out_ += pattern_[at_++];
    previous_ = 0;
    if (looking_at("?") || looking_at("+")) out_ += pattern_[at_++];
    refuse_second_quantifier();
  }

  void interval() {
    const std::size_t end = pattern_.find('}', at_);
    if (end == std::string_view::npos) refuse("an open interval");
    const std::string_view body = pattern_.substr(at_ + 1, end - at_ - 1);
    const bool plain = !body.empty() && body.front() >= '0' && body.front() <= '9' &&
                       body.find_first_not_of("0123456789,") == std::string_view::npos;
    if (!plain) refuse("this interval");
    out_ += pattern_.substr(at_, end + 1 - at_);
    previous_ = 0;
    at_ = end + 1;
    refuse_second_quantifier();  // {n}? and {n}+ mean other things in Ruby syntax
  }

  void refuse_second_quantifier() const {
    if (looking_at("?") || looking_at("*") || looking_at("+") || looking_at("{")) {
      refuse("a quantifier after a quantifier");
    }
  }

  std::string_view pattern_;
  std::string_view subject_;
  std::size_t at_ = 0;
  std::string out_;
  std::vector<bool> groups_;  // the open ones: caseless or not
  char32_t previous_ = 0;     // the literal just before, in a caseless group
};

}  // namespace

std::string pcre2_from_oniguruma(std::string_view pattern, std::string_view subject) {
  return Translator(pattern, subject).translate();
}

}  // namespace organ::train
