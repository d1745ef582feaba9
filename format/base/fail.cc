// SPDX-License-Identifier: Apache-2.0
#include "format/base/fail.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>

namespace organ {

void fail_errno(std::string_view subject, std::string_view action) {
  const int error = errno;
  const ErrorCode code = error == ENOENT ? ErrorCode::not_found : ErrorCode::io;
  const std::string_view hint =
      error == EMFILE   ? "this process may open no more files; 'ulimit -n NUMBER' lets it"
      : error == ENFILE ? "the whole system has no more files to open"
                        : "";
  throw Error(code, fmt::format("{}: {} failed: {}", quote(subject), action, std::strerror(error)),
              std::string(hint));
}

void check(bool condition, std::string_view what) {
  if (!condition) fail(ErrorCode::internal, "internal error: {}", what);
}

namespace {

// Decodes one UTF-8 sequence at `at`; returns its length, or 0 when it is not valid UTF-8
// (overlong forms, surrogates and values above U+10FFFF included).
std::size_t decode_utf8(std::string_view text, std::size_t at, std::uint32_t& code_point) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(at);
  if (lead < 0x80) {
    code_point = lead;
    return 1;
  }
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 0;
  if (length == 0 || lead > 0xF4 || at + length > text.size()) return 0;
  code_point = lead & (0x7Fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) return 0;
    code_point = code_point << 6 | (byte(at + i) & 0x3Fu);
  }
  constexpr std::uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code_point >= 0xD800 && code_point <= 0xDFFF;
  return code_point < kSmallest[length] || surrogate || code_point > 0x10FFFF ? 0 : length;
}

struct CodePoints {
  std::uint32_t first, last;
};

// Controls, what turns the direction of a line or ends it, and what nothing is drawn for: Unicode's
// categories Cc, Cf, Zl and Zp and its Default_Ignorable_Code_Point, sorted.
constexpr CodePoints kUnseen[] = {
    {0x00, 0x1F},       {0x7F, 0x9F},       {0xAD, 0xAD},       {0x34F, 0x34F},
    {0x600, 0x605},     {0x61C, 0x61C},     {0x6DD, 0x6DD},     {0x70F, 0x70F},
    {0x890, 0x891},     {0x8E2, 0x8E2},     {0x115F, 0x1160},   {0x17B4, 0x17B5},
    {0x180B, 0x180F},   {0x200B, 0x200F},   {0x2028, 0x202E},   {0x2060, 0x206F},
    {0x3164, 0x3164},   {0xFE00, 0xFE0F},   {0xFEFF, 0xFEFF},   {0xFFA0, 0xFFA0},
    {0xFFF0, 0xFFFB},   {0x110BD, 0x110BD}, {0x110CD, 0x110CD}, {0x13430, 0x1343F},
    {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0xE0000, 0xE0FFF}};

bool is_unsafe_to_show(std::uint32_t c) {
  const auto* range = std::ranges::lower_bound(kUnseen, c, {}, &CodePoints::last);
  return range != std::end(kUnseen) && c >= range->first;
}

// Letters to add, to leave out or to change, and neighbours to swap (optimal string alignment).
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before, last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before = std::move(last);
    last = row;
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, change});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

}  // namespace

std::string escape_text(std::string_view text, std::size_t limit) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    if (out.size() >= limit) return out + "…";
    std::uint32_t code_point = 0;
    const std::size_t length = decode_utf8(text, at, code_point);
    if (length == 0) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[at]));
      ++at;
    } else {
      if (is_unsafe_to_show(code_point)) {
        out += code_point < 0x100 ? fmt::format("\\x{:02x}", code_point)
                                  : fmt::format("\\u{{{:04x}}}", code_point);
      } else {
        out += text.substr(at, length);
      }
      at += length;
    }
  }
  return out;
}

std::string quote(std::string_view text) { return "'" + escape_text(text) + "'"; }

std::optional<std::string> nearest_name(const std::vector<std::string>& names,
                                        std::string_view word) {
  constexpr std::size_t kShortestStart = 2, kLettersOfAChange = 3;
  const std::size_t letters = word.size() - (word.starts_with("--") ? 2 : 0);
  std::optional<std::string> best, longer;
  std::size_t best_distance = letters / kLettersOfAChange + 1, starts = 0;
  for (const std::string& name : names) {
    if (name == word) continue;
    const std::size_t gap = std::max(word.size(), name.size()) - std::min(word.size(), name.size());
    const std::size_t distance = gap < best_distance ? edit_distance(word, name) : gap;
    if (distance < best_distance) {
      best_distance = distance;
      best = name;
    }
    if (word.size() >= kShortestStart && name.starts_with(word)) {
      longer = name;
      ++starts;
    }
  }
  return starts == 1 ? longer : best;
}

std::string meant_hint(const std::optional<std::string>& meant, std::string otherwise) {
  return meant ? "did you mean " + quote(*meant) + "?" : std::move(otherwise);
}

std::string counted(std::uint64_t number, std::string_view noun) {
  std::string text = std::to_string(number) + ' ';
  text += noun;
  if (number == 1) return text;
  const auto ends = [&](auto... with) { return (text.ends_with(with) || ...); };
  if (ends('y') && !ends("ay", "ey", "oy")) return text.replace(text.size() - 1, 1, "ies");
  return text + (ends("s", "sh", "ch", "x") ? "es" : "s");
}

std::string rate_text(double value) {
  return value < 10 ? fmt::format("{:.2g}", value) : fmt::format("{:.0f}", value);
}

std::uint64_t checked_add(std::uint64_t a, std::uint64_t b, std::string_view subject) {
  std::uint64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) {
    fail(ErrorCode::corrupt, "{}: {} + {} does not fit 64 bits", subject, a, b);
  }
  return sum;
}

std::uint64_t checked_mul(std::uint64_t a, std::uint64_t b, std::string_view subject) {
  std::uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) {
    fail(ErrorCode::corrupt, "{}: {} x {} does not fit 64 bits", subject, a, b);
  }
  return product;
}

}  // namespace organ
