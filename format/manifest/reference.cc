// SPDX-License-Identifier: Apache-2.0
#include "format/manifest/reference.h"

#include <filesystem>
#include <optional>

#include "format/base/fail.h"
#include "format/manifest/internal/characters.h"
#include "format/manifest/manifest.h"

namespace organ::format {
namespace {

using internal::is_lower_alnum;
using internal::split;

constexpr std::size_t kNameBytes = 255;
constexpr std::size_t kAliasBytes = 128;
constexpr std::string_view kDigestPrefix = "sha256:";

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

template <typename Selector>
std::optional<Selector> parsed_as(std::string_view text) {
  try {
    return Selector::parse(text);
  } catch (const Error&) {
    return std::nullopt;
  }
}

// What neither an alias nor a version can have.
bool has_range_signs(std::string_view text) {
  return text.find_first_of("^~<>=*| ") != std::string_view::npos;
}

Alias parse_alias(std::string_view text, std::string_view reference) {
  if (text.size() > kAliasBytes || !is_name_part(text)) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("reference {}: {} is neither an alias nor a digest", quote(reference),
                            quote(text)),
                "aliases are lower-case words such as 'stable'; digests are sha256:<64 hex>");
  }
  if (text == "sha256" || parsed_as<Version>(text)) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("reference {}: {} cannot be an alias", quote(reference), quote(text)),
                "a version follows ':', a digest follows '@sha256:'");
  }
  return Alias{std::string(text)};
}

}  // namespace

void check_name(std::string_view name) {
  if (name.empty()) fail(ErrorCode::invalid_argument, "name '': a name cannot be empty");
  if (name.ends_with('/')) {
    throw Error(ErrorCode::invalid_argument, fmt::format("name {}: ends with '/'", quote(name)),
                "a name is no folder: without the slash behind it");
  }
  if (name.size() > kNameBytes) {
    fail(ErrorCode::invalid_argument, "name {}: has {} bytes, at most {} are allowed", quote(name),
         name.size(), kNameBytes);
  }
  split(name, "/", [&](std::string_view part) {
    if (!is_name_part(part)) {
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("name {}: part {} does not match [a-z0-9]+([._-][a-z0-9]+)*",
                              quote(name), quote(part)),
                  "names are lower-case words joined by '/', for example acme/legal");
    }
  });
}

Reference Reference::parse(std::string_view text) {
  if (text.starts_with('/') || text.starts_with('.') || text.find("://") != text.npos) {
    throw Error(
        ErrorCode::invalid_argument, fmt::format("{}: names no version of a registry", quote(text)),
        "expected NAME, NAME:VERSION, NAME@ALIAS or NAME@RANGE, for example acme/legal:1.0.0");
  }
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
  } else if (has_range_signs(selector)) {
    reference.selector = VersionRange::parse(selector);
  } else if (auto range = parsed_as<VersionRange>(selector);
             range && !parsed_as<Version>(selector)) {
    reference.selector = *std::move(range);  // 1.x, 1.2: no alias is called so
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
    std::string operator()(const VersionRange& range) const { return "@" + range.to_string(); }
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
