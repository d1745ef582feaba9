// SPDX-License-Identifier: Apache-2.0
#include "format/manifest/semver.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "format/base/fail.h"
#include "format/manifest/internal/characters.h"

namespace organ::format {
namespace {

using internal::is_digit;
using internal::is_lower_alnum;
using internal::split;
using Numbers = std::array<std::uint64_t, 3>;

constexpr std::size_t kVersionBytes = 128;  // an OCI tag holds no more
constexpr std::size_t kRangeBytes = 256;

bool is_identifier_char(char c) { return is_lower_alnum(c) || (c >= 'A' && c <= 'Z') || c == '-'; }

bool is_number(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

// Cuts `text` at the first `separator` and returns what follows it, if there is one.
std::optional<std::string_view> cut_suffix(std::string_view& text, char separator) {
  const std::size_t at = text.find(separator);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view suffix = text.substr(at + 1);
  text = text.substr(0, at);
  return suffix;
}

[[noreturn]] void fail_version(std::string_view text, std::string_view reason) {
  throw Error(ErrorCode::invalid_argument, fmt::format("version {}: {}", quote(text), reason),
              "versions are SemVer 2.0: MAJOR.MINOR.PATCH, for example 1.0.0 or 2.1.0-rc.1");
}

[[noreturn]] void fail_range(std::string_view text, std::string_view reason) {
  throw Error(ErrorCode::invalid_argument, fmt::format("range {}: {}", quote(text), reason),
              "ranges are those of node-semver: ^1.2, ~1.4, '>=1.0 <2.0', 1.x, '1.x || >=2.5', *");
}

using Refuse = void (*)(std::string_view text, std::string_view reason);

// `whole` and `refuse` are for what is said of a bad one.
std::uint64_t parse_number(std::string_view digits, std::string_view whole, Refuse refuse) {
  if (!is_number(digits)) refuse(whole, "expected three numbers separated by points");
  if (digits.size() > 1 && digits[0] == '0') refuse(whole, "a number has a leading zero");
  if (digits.size() > 18) refuse(whole, "a number has more than 18 digits");
  std::uint64_t value = 0;
  for (const char c : digits) value = value * 10 + static_cast<std::uint64_t>(c - '0');
  return value;
}

void check_identifiers(std::string_view list, bool numbers_are_canonical, std::string_view whole,
                       Refuse refuse) {
  split(list, ".", [&](std::string_view identifier) {
    if (identifier.empty()) refuse(whole, "an identifier is empty");
    if (!std::all_of(identifier.begin(), identifier.end(), is_identifier_char)) {
      refuse(whole, "an identifier has a character other than [0-9A-Za-z-]");
    }
    if (numbers_are_canonical && is_number(identifier) && identifier.size() > 1 &&
        identifier[0] == '0') {
      refuse(whole, "a numeric identifier has a leading zero");
    }
  });
}

std::vector<std::string> identifiers_of(std::string_view list) {
  std::vector<std::string> identifiers;
  split(list, ".", [&](std::string_view part) { identifiers.emplace_back(part); });
  return identifiers;
}

// SemVer 2.0, item 11.4: numbers by value and before words, words bytewise.
std::weak_ordering compare_identifiers(const std::string& a, const std::string& b) {
  const bool a_number = is_number(a), b_number = is_number(b);
  if (a_number != b_number) {
    return a_number ? std::weak_ordering::less : std::weak_ordering::greater;
  }
  if (a_number && a.size() != b.size()) return a.size() <=> b.size();
  return a.compare(b) <=> 0;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(' ');
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

// A version of which the last numbers may be missing, or x.
struct Partial {
  Numbers numbers{};
  std::size_t given = 0;          // numbers before the end or the first x
  std::string_view prerelease{};  // of a whole one
};

bool is_x(std::string_view part) { return part == "x" || part == "X" || part == "*"; }

}  // namespace

Version Version::parse(std::string_view text) {
  if (text.empty()) fail_version(text, "a version cannot be empty");
  if (text.size() > kVersionBytes) {
    fail_version(text,
                 fmt::format("has {} bytes, at most {} are allowed", text.size(), kVersionBytes));
  }
  Version version;
  version.text_ = text;
  std::string_view core = text;
  if (const auto build = cut_suffix(core, '+'))
    check_identifiers(*build, false, text, fail_version);
  if (const auto prerelease = cut_suffix(core, '-')) {
    check_identifiers(*prerelease, true, text, fail_version);
    version.prerelease_ = identifiers_of(*prerelease);
  }
  std::vector<std::uint64_t> numbers;
  split(core, ".",
        [&](std::string_view part) { numbers.push_back(parse_number(part, text, fail_version)); });
  if (numbers.size() != version.numbers_.size()) {
    fail_version(text, "expected three numbers separated by points");
  }
  std::copy(numbers.begin(), numbers.end(), version.numbers_.begin());
  return version;
}

std::weak_ordering Version::precedence(const Version& other) const {
  if (const auto order = numbers_ <=> other.numbers_; std::is_neq(order)) return order;
  if (prerelease_.empty() != other.prerelease_.empty()) {
    return prerelease_.empty() ? std::weak_ordering::greater : std::weak_ordering::less;
  }
  const std::size_t common = std::min(prerelease_.size(), other.prerelease_.size());
  for (std::size_t i = 0; i < common; ++i) {
    const auto order = compare_identifiers(prerelease_[i], other.prerelease_[i]);
    if (std::is_neq(order)) return order;
  }
  return prerelease_.size() <=> other.prerelease_.size();
}

// Every form becomes bounds, as node-semver's README says form by form. What a form leaves open
// above ends before the first pre-release of the next version (`<2.0.0-0`).
class VersionRange::Parser {
 public:
  explicit Parser(std::string_view whole) : whole_(whole) {}

  Bounds alternative(std::string_view text) {
    text = trimmed(text);
    if (text.empty()) fail_range(whole_, "an alternative is empty");
    bounds_.clear();
    constexpr std::string_view kHyphen = " - ";
    if (const std::size_t at = text.find(kHyphen); at != std::string_view::npos) {
      add(">=", partial(trimmed(text.substr(0, at))));
      add("<=", partial(trimmed(text.substr(at + kHyphen.size()))));
      return std::move(bounds_);
    }
    while (!text.empty()) {
      const std::string_view sign = take_operator(text);
      text = trimmed(text);
      const std::size_t end = std::min(text.find(' '), text.size());
      add(sign, partial(text.substr(0, end)));
      text = trimmed(text.substr(end));
    }
    return std::move(bounds_);
  }

 private:
  static std::string_view take_operator(std::string_view& text) {
    for (const std::string_view sign : {">=", "<=", ">", "<", "=", "~", "^"}) {
      if (!text.starts_with(sign)) continue;
      text.remove_prefix(sign.size());
      return sign;
    }
    return "";
  }

  Partial partial(std::string_view text) const {
    if (text.empty()) fail_range(whole_, "a version is missing");
    std::string_view core = text;
    const auto build = cut_suffix(core, '+');
    const auto prerelease = cut_suffix(core, '-');
    Partial out;
    std::size_t parts = 0;
    split(core, ".", [&](std::string_view part) {
      if (++parts > out.numbers.size()) fail_range(whole_, "a version has more than three numbers");
      if (is_x(part)) return;
      if (!is_number(part)) {
        fail_range(whole_, fmt::format("{} is neither a number nor x", quote(part)));
      }
      if (out.given + 1 != parts) fail_range(whole_, "a number stands behind an x");
      out.numbers[out.given++] = parse_number(part, whole_, fail_range);
    });
    if (build) check_identifiers(*build, false, whole_, fail_range);
    if (prerelease) check_identifiers(*prerelease, true, whole_, fail_range);
    if ((build || prerelease) && out.given < out.numbers.size()) {
      fail_range(whole_, "only a whole version has a pre-release or build metadata");
    }
    out.prerelease = prerelease.value_or("");
    return out;
  }

  void add(std::string_view sign, const Partial& wanted) {
    const bool any = wanted.given == 0, whole = wanted.given == wanted.numbers.size();
    const std::size_t last = any ? 0 : wanted.given - 1;
    if (any) {
      if (sign == ">" || sign == "<") bound(Comparison::less, {}, "0");  // nothing is
      return;
    }
    if (sign == ">" && !whole) return bound(Comparison::at_least, behind(wanted, last), "");
    if (sign == ">") return bound(Comparison::greater, wanted.numbers, wanted.prerelease);
    if (sign == "<") {
      return bound(Comparison::less, wanted.numbers, whole ? wanted.prerelease : "0");
    }
    if (sign == "<=" && whole) {
      return bound(Comparison::at_most, wanted.numbers, wanted.prerelease);
    }
    if ((sign.empty() || sign == "=") && whole) {
      return bound(Comparison::equal, wanted.numbers, wanted.prerelease);
    }
    if (sign != "<=") bound(Comparison::at_least, wanted.numbers, wanted.prerelease);
    if (sign == ">=") return;
    std::size_t fixed = last;
    if (sign == "~") fixed = std::min<std::size_t>(last, 1);
    if (sign == "^") {
      fixed = 0;
      while (fixed < last && wanted.numbers[fixed] == 0) ++fixed;
    }
    bound(Comparison::less, behind(wanted, fixed), "0");
  }

  // The first version that has another number there.
  static Numbers behind(const Partial& version, std::size_t place) {
    Numbers numbers{};
    std::copy_n(version.numbers.begin(), place + 1, numbers.begin());
    ++numbers[place];
    return numbers;
  }

  void bound(Comparison comparison, const Numbers& numbers, std::string_view prerelease) {
    Bound made{.comparison = comparison, .version = {}};
    made.version.numbers_ = numbers;
    made.version.text_ = fmt::format("{}.{}.{}", numbers[0], numbers[1], numbers[2]);
    if (!prerelease.empty()) {
      made.version.text_ += fmt::format("-{}", prerelease);
      made.version.prerelease_ = identifiers_of(prerelease);
    }
    bounds_.push_back(std::move(made));
  }

  std::string_view whole_;
  Bounds bounds_;
};

VersionRange VersionRange::parse(std::string_view text) {
  if (text.size() > kRangeBytes) {
    fail_range(text, fmt::format("has {} bytes, at most {} are allowed", text.size(), kRangeBytes));
  }
  VersionRange range;
  range.text_ = text;
  Parser parser(text);
  split(text, "||", [&](std::string_view alternative) {
    range.alternatives_.push_back(parser.alternative(alternative));
  });
  return range;
}

bool VersionRange::Bound::holds(const Version& candidate) const {
  const std::weak_ordering order = candidate.precedence(version);
  switch (comparison) {
    case Comparison::less: return std::is_lt(order);
    case Comparison::at_most: return std::is_lteq(order);
    case Comparison::equal: return std::is_eq(order);
    case Comparison::at_least: return std::is_gteq(order);
    case Comparison::greater: return std::is_gt(order);
  }
  return false;
}

bool VersionRange::contains(const Version& version) const {
  return std::ranges::any_of(alternatives_, [&](const Bounds& bounds) {
    const bool all =
        std::ranges::all_of(bounds, [&](const Bound& bound) { return bound.holds(version); });
    if (!all || !version.is_prerelease()) return all;
    return std::ranges::any_of(bounds, [&](const Bound& bound) {
      return bound.version.is_prerelease() && bound.version.numbers_ == version.numbers_;
    });
  });
}

bool VersionRange::may_contain_prereleases() const {
  return std::ranges::any_of(alternatives_, [](const Bounds& bounds) {
    return std::ranges::any_of(bounds, [](const Bound& bound) {
      // Nothing stands below -0, so that a bound which was added for an open end lets none in.
      const bool lowest = bound.comparison == Comparison::less &&
                          bound.version.prerelease_ == std::vector<std::string>{"0"};
      return bound.version.is_prerelease() && !lowest;
    });
  });
}

}  // namespace organ::format
