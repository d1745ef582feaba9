// SPDX-License-Identifier: Apache-2.0
// Python's re to PCRE2, for ASCII texts without line feeds. They differ in escapes (\Z, \v, \x, \u,
// octal), in what a '[' in a class and a '{' may begin, and in what only one of them knows: each is
// rewritten so that it means the same, or refused.
// Sources: Python 3.13's re and re/_parser.py; pcre2pattern(3); compared with re by the tests.
#include <algorithm>
#include <charconv>
#include <optional>

#include "format/base/fail.h"
#include "train/tokenizer/text/regex.h"
#include "train/tokenizer/text/unicode.h"

namespace organ::train {
namespace {

constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kNameLetters =
    "0123456789_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_octal(char c) { return c >= '0' && c <= '7'; }

std::string code_point(char32_t c) {
  return fmt::format("\\x{{{:X}}}", static_cast<std::uint32_t>(c));
}

class PythonTranslator {
 public:
  PythonTranslator(std::string_view pattern, PythonPlace place, std::string_view subject)
      : pattern_(pattern), place_(place), subject_(subject) {}

  std::string translate() {
    global_flags();
    while (!done()) step();
    if (depth_ > 0) refuse("an open group");
    if (caseless_ && beyond_ascii_) refuse("a letter beyond ASCII in a caseless regex");
    return std::move(out_);
  }

 private:
  bool done() const { return at_ >= pattern_.size(); }
  bool looking_at(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }
  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < pattern_.size() ? pattern_[at_ + ahead] : '\0';
  }

  [[noreturn]] void refuse(std::string_view what) const {
    fail(ErrorCode::incompatible, "{}: regex {}: {} at byte {} is not supported", subject_,
         quote(pattern_), what, at_);
  }

  bool take(std::string_view text) {
    if (!looking_at(text)) return false;
    at_ += text.size();
    return true;
  }

  // The longest run of characters of a set, of `most` at most.
  std::string_view take_run(std::string_view set, std::size_t most = std::string_view::npos) {
    const std::size_t end = std::min(pattern_.find_first_not_of(set, at_), pattern_.size());
    const std::string_view run = pattern_.substr(at_, std::min(end - at_, most));
    at_ += run.size();
    return run;
  }

  char32_t take_code_point() {
    if (done()) refuse("an end after a backslash or in a class");
    const Decoded next = decode_utf8(pattern_, at_);
    at_ += next.length;
    beyond_ascii_ |= next.code_point >= 0x80;
    return next.code_point;
  }

  // Of a, i, m, s and u only i says something about names.
  std::string flags(std::string_view letters) {
    if (letters.find_first_not_of("aimsu") != letters.npos) refuse("this flag");
    const bool caseless = letters.find('i') != letters.npos;
    caseless_ |= caseless;
    return caseless ? "i" : "";
  }

  // (?i) at the start, where Python takes it for all.
  void global_flags() {
    while (looking_at("(?") && place_ == PythonPlace::alone) {
      const std::size_t end = pattern_.find_first_not_of(kNameLetters, at_ + 2);
      if (end == pattern_.npos || pattern_[end] != ')' || end == at_ + 2) return;
      const std::string set = flags(pattern_.substr(at_ + 2, end - at_ - 2));
      if (!set.empty()) out_ += "(?i)";
      at_ = end + 1;
    }
  }

  void step() {
    if (looking_at("(")) return group();
    if (looking_at("[")) return character_class();
    if (looking_at("\\")) return escape();
    if (take(")")) {
      if (depth_-- == 0) refuse("a ')' too many");
      return atom(")");
    }
    if (take("|")) {
      out_ += '|';
    } else if (take("^")) {
      out_ += "\\A";
    } else if (take("$")) {
      out_ += "\\z";
    } else if (take(".")) {
      atom(".");
    } else {
      if (looking_at("*") || looking_at("+") || looking_at("?") || interval()) {
        refuse("a quantifier without operand");
      }
      atom(code_point(take_code_point()));
    }
  }

  void group() {
    static constexpr std::string_view kKinds[] = {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>"};
    if (take("(?#")) {
      at_ = pattern_.find(')', at_);
      if (!take(")")) refuse("an open comment");
      return;
    }
    if (take("(?P=")) return atom(fmt::format("(?P={})", group_name(")")));
    ++depth_;
    if (take("(?P<")) {
      out_ += fmt::format("(?P<{}>", group_name(">"));
      return;
    }
    const auto kind =
        std::ranges::find_if(kKinds, [&](std::string_view k) { return looking_at(k); });
    if (kind != std::end(kKinds)) {
      take(*kind);
      out_ += *kind;
    } else if (take("(?")) {
      scoped_flags();
    } else {
      take("(");
      if (looking_at("*")) refuse("this kind of group");
      out_ += '(';
    }
  }

  std::string_view group_name(std::string_view end) {
    const std::string_view name = take_run(kNameLetters, 32);
    if (name.empty() || is_digit(name[0]) || !take(end)) refuse("this name of a group");
    return name;
  }

  // (?i: or (?s-i: and so on.
  void scoped_flags() {
    const std::string on = flags(take_run(kNameLetters));
    const std::string off = take("-") ? flags(take_run(kNameLetters)) : std::string();
    if (!take(":")) refuse("this kind of group");
    out_ += fmt::format("(?{}{}{}:", on, off.empty() ? "" : "-", off);
  }

  void atom(std::string_view text) {
    out_ += text;
    quantifier();
  }

  // {2}, {2,}, {,3}, {2,3} at this place as PCRE2 has it. Any other brace is itself.
  std::optional<std::string> interval() {
    const std::size_t start = at_;
    std::optional<std::string> found;
    if (take("{") && !looking_at("}")) {
      const std::string_view low = take_run(kDigits);
      const bool comma = take(",");
      const std::string_view high = comma ? take_run(kDigits) : low;
      if (take("}")) {
        found = fmt::format("{{{}{}{}}}", low.empty() ? "0" : low, comma ? "," : "",
                            comma ? high : std::string_view());
        length_ = at_ - start;
      }
    }
    at_ = start;
    return found;
  }

  void quantifier() {
    if (looking_at("*") || looking_at("+") || looking_at("?")) {
      out_ += pattern_[at_++];
    } else if (const auto times = interval()) {
      out_ += *times;
      at_ += length_;
    } else {
      return;
    }
    if (looking_at("?") || looking_at("+")) out_ += pattern_[at_++];
    if (looking_at("*") || looking_at("+") || looking_at("?") || interval()) {
      refuse("a quantifier after a quantifier");
    }
  }

  void escape() {
    take("\\");
    const char letter = peek();
    if (letter == 'A' || letter == 'b' || letter == 'B') {
      out_ += fmt::format("\\{}", letter);
      ++at_;
    } else if (take("Z")) {
      out_ += "\\z";
    } else if (is_set(letter)) {
      ++at_;
      atom(fmt::format("\\{}", letter));
    } else if (is_digit(letter) && !is_octal_escape()) {
      if (place_ != PythonPlace::alone) refuse("a reference to a group");
      atom(fmt::format("\\g{{{}}}", take_run(kDigits, 2)));
    } else {
      atom(code_point(escaped()));
    }
  }

  static bool is_set(char letter) {
    return letter != '\0' && std::string_view("dDsSwW").find(letter) != std::string_view::npos;
  }

  // Behind the backslash: \0, \01, \123. Other numbers are those of groups.
  bool is_octal_escape() const {
    return peek() == '0' || (is_octal(peek()) && is_octal(peek(1)) && is_octal(peek(2)));
  }

  // Behind the backslash: an escape that stands for one code point, in a class or not.
  char32_t escaped() {
    static constexpr std::pair<char, char32_t> kControls[] = {
        {'n', 0x0A}, {'r', 0x0D}, {'t', 0x09}, {'f', 0x0C}, {'v', 0x0B}, {'a', 0x07}};
    for (const auto& [letter, value] : kControls) {
      if (take(std::string_view(&letter, 1))) return value;
    }
    if (is_octal_escape()) return number(take_run("01234567", 3), 8, 0xFF);
    if (take("x")) return hexadecimal(2);
    if (take("u")) return hexadecimal(4);
    if (take("U")) return hexadecimal(8);
    const char32_t c = take_code_point();
    if (c < 0x80 && c != '_' && kNameLetters.find(static_cast<char>(c)) != kNameLetters.npos) {
      refuse("escape " + quote(std::string("\\") + static_cast<char>(c)));
    }
    return c;
  }

  char32_t hexadecimal(std::size_t digits) {
    const std::string_view text = take_run("0123456789abcdefABCDEF", digits);
    if (text.size() != digits) refuse("a bad hexadecimal escape");
    return number(text, 16, 0x10FFFF);
  }

  char32_t number(std::string_view text, int base, std::uint32_t most) {
    std::uint32_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (value > most || (value >= 0xD800 && value <= 0xDFFF)) refuse("this code point");
    beyond_ascii_ |= value >= 0x80;
    return value;
  }

  void character_class() {
    take("[");
    std::string text = take("^") ? "[^" : "[";
    bool first = true;
    while (first || !looking_at("]")) {
      if (done()) refuse("an open class");
      first = false;
      const std::string low = class_item();
      text += low;
      if (!looking_at("-") || peek(1) == ']' || peek(1) == '\0') continue;
      take("-");
      const std::string high = class_item();
      if (low.size() == 2 || high.size() == 2) refuse("a range with a set");
      text += "-" + high;
    }
    take("]");
    atom(text + "]");
  }

  // One set, of two characters, or one code point.
  std::string class_item() {
    if (!take("\\")) return code_point(take_code_point());
    if (is_set(peek())) return fmt::format("\\{}", pattern_[at_++]);
    if (take("b")) return code_point(0x08);
    if (is_digit(peek()) && !is_octal(peek())) refuse("this escape in a class");
    if (is_octal(peek())) return code_point(number(take_run("01234567", 3), 8, 0xFF));
    return code_point(escaped());
  }

  std::string_view pattern_;
  PythonPlace place_;
  std::string_view subject_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;   // open groups
  std::size_t length_ = 0;  // bytes of the interval that was found last
  bool caseless_ = false, beyond_ascii_ = false;
  std::string out_;
};

}  // namespace

std::string pcre2_from_python(std::string_view pattern, PythonPlace place,
                              std::string_view subject) {
  return PythonTranslator(pattern, place, subject).translate();
}

}  // namespace organ::train
