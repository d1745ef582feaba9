// SPDX-License-Identifier: Apache-2.0
#include "format/manifest/reference.h"

#include <algorithm>
#include <filesystem>

#include "format/base/fail.h"
#include "format/manifest/manifest.h"

namespace organ::format {
namespace {

constexpr std::size_t kNameBytes = 255;
constexpr std::size_t kVersionBytes = 128;  // an OCI tag holds no more
constexpr std::size_t kAliasBytes = 128;
constexpr std::string_view kDigestPrefix = "sha256:";

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower_alnum(char c) { return is_digit(c) || (c >= 'a' && c <= 'z'); }
bool is_identifier_char(char c) { return is_lower_alnum(c) || (c >= 'A' && c <= 'Z') || c == '-'; }

// [a-z0-9]+([._-][a-z0-9]+)*
bool is_name_part(std::string_view part) {
  bool after_separator = true;
  for (const char c : part) {
    if (is_lower_alnum(c)) {
      after_separator = false;
    } else if (after_separator || (c != '.' && c != '_' && c != '-')) {
      return false;
    } else {
      after_separator = true;
    }
  }
  return !after_separator;
}

// Calls `visit` with each piece of `text` between separators; an empty text is one empty piece.
template <typename Visit>
void split(std::string_view text, char separator, Visit&& visit) {
  for (std::size_t end; (end = text.find(separator)) != std::string_view::npos;) {
    visit(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  visit(text);
}

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

std::uint64_t parse_number(std::string_view digits, std::string_view version) {
  if (!is_number(digits)) fail_version(version, "expected three numbers separated by points");
  if (digits.size() > 1 && digits[0] == '0') fail_version(version, "a number has a leading zero");
  if (digits.size() > 18) fail_version(version, "a number has more than 18 digits");
  std::uint64_t value = 0;
  for (const char c : digits) value = value * 10 + static_cast<std::uint64_t>(c - '0');
  return value;
}

void check_identifiers(std::string_view list, bool numbers_are_canonical,
                       std::string_view version) {
  split(list, '.', [&](std::string_view identifier) {
    if (identifier.empty()) fail_version(version, "an identifier is empty");
    if (!std::all_of(identifier.begin(), identifier.end(), is_identifier_char)) {
      fail_version(version, "an identifier has a character other than [0-9A-Za-z-]");
    }
    if (numbers_are_canonical && is_number(identifier) && identifier.size() > 1 &&
        identifier[0] == '0') {
      fail_version(version, "a numeric identifier has a leading zero");
    }
  });
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

bool parses_as_version(std::string_view text) {
  try {
    Version::parse(text);
    return true;
  } catch (const Error&) {
    return false;
  }
}

Alias parse_alias(std::string_view text, std::string_view reference) {
  if (text.size() > kAliasBytes || !is_name_part(text)) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("reference {}: {} is neither an alias nor a digest", quote(reference),
                            quote(text)),
                "aliases are lower-case words such as 'stable'; digests are sha256:<64 hex>");
  }
  if (text == "sha256" || parses_as_version(text)) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("reference {}: {} cannot be an alias", quote(reference), quote(text)),
                "a version follows ':', a digest follows '@sha256:'");
  }
  return Alias{std::string(text)};
}

}  // namespace

void check_name(std::string_view name) {
  if (name.empty()) fail(ErrorCode::invalid_argument, "name '': a name cannot be empty");
  if (name.size() > kNameBytes) {
    fail(ErrorCode::invalid_argument, "name {}: has {} bytes, at most {} are allowed", quote(name),
         name.size(), kNameBytes);
  }
  split(name, '/', [&](std::string_view part) {
    if (!is_name_part(part)) {
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("name {}: part {} does not match [a-z0-9]+([._-][a-z0-9]+)*",
                              quote(name), quote(part)),
                  "names are lower-case words joined by '/', for example acme/legal");
    }
  });
}

Version Version::parse(std::string_view text) {
  if (text.empty()) fail_version(text, "a version cannot be empty");
  if (text.size() > kVersionBytes) {
    fail_version(text,
                 fmt::format("has {} bytes, at most {} are allowed", text.size(), kVersionBytes));
  }
  Version version;
  version.text_ = text;
  std::string_view core = text;
  if (const auto build = cut_suffix(core, '+')) check_identifiers(*build, false, text);
  if (const auto prerelease = cut_suffix(core, '-')) {
    check_identifiers(*prerelease, true, text);
    split(*prerelease, '.', [&](std::string_view part) { version.prerelease_.emplace_back(part); });
  }
  std::vector<std::uint64_t> numbers;
  split(core, '.', [&](std::string_view part) { numbers.push_back(parse_number(part, text)); });
  if (numbers.size() != 3) fail_version(text, "expected three numbers separated by points");
  version.major_ = numbers[0];
  version.minor_ = numbers[1];
  version.patch_ = numbers[2];
  return version;
}

std::weak_ordering Version::precedence(const Version& other) const {
  if (const auto order = major_ <=> other.major_; std::is_neq(order)) return order;
  if (const auto order = minor_ <=> other.minor_; std::is_neq(order)) return order;
  if (const auto order = patch_ <=> other.patch_; std::is_neq(order)) return order;
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

Reference Reference::parse(std::string_view text) {
  const std::size_t at = text.find_first_of(":@");
  Reference reference;
  reference.name = std::string(text.substr(0, at));
  check_name(reference.name);
  if (at == std::string_view::npos) return reference;
  const std::string_view selector = text.substr(at + 1);
  if (text[at] == ':') {
    reference.selector = Version::parse(selector);
  } else if (selector.starts_with(kDigestPrefix)) {
    reference.selector = Digest::parse(selector, text);
  } else {
    reference.selector = parse_alias(selector, text);
  }
  return reference;
}

std::string Reference::to_string() const {
  struct Visitor {
    std::string operator()(std::monostate) const { return ""; }
    std::string operator()(const Version& version) const { return ":" + version.to_string(); }
    std::string operator()(const Alias& alias) const { return "@" + alias.name; }
    std::string operator()(const Digest& digest) const { return "@" + digest.to_string(); }
  };
  return name + std::visit(Visitor{}, selector);
}

std::pair<std::string, Version> parse_exact(std::string_view text) {
  Reference reference = Reference::parse(text);
  if (const auto* version = std::get_if<Version>(&reference.selector)) {
    return {std::move(reference.name), *version};
  }
  throw Error(ErrorCode::invalid_argument, quote(text) + ": expected NAME:VERSION",
              "for example legal/contracts:1.0.0");
}

bool looks_like_folder(std::string_view text) {
  if (text.starts_with('/') || text.starts_with('.')) return true;
  std::error_code error;
  // What may not be looked into is for whoever opens it to say.
  return std::filesystem::exists(std::filesystem::path(text) / kManifestFile, error) ||
         error == std::errc::permission_denied;
}

}  // namespace organ::format
