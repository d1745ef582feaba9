// SPDX-License-Identifier: Apache-2.0
// Names, SemVer 2.0 versions and references: name:version, name@alias, name@sha256:<64 hex>.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "format/base/digest.h"

#pragma GCC visibility push(default)

namespace organ::format {

// [a-z0-9]+([._-][a-z0-9]+)* parts joined by '/', at most 255 bytes. Throws invalid_argument.
void check_name(std::string_view name);

// A SemVer 2.0 version; ordered by SemVer precedence (build metadata ignored in order, kept in
// equality and text).
class Version {
 public:
  static Version parse(std::string_view text);  // throws invalid_argument
  const std::string& to_string() const { return text_; }
  bool is_prerelease() const { return !prerelease_.empty(); }
  std::weak_ordering precedence(const Version& other) const;
  bool operator==(const Version& other) const { return text_ == other.text_; }

 private:
  std::string text_;
  std::uint64_t major_ = 0, minor_ = 0, patch_ = 0;
  std::vector<std::string> prerelease_;
};

struct Alias {
  std::string name;  // [a-z0-9]+([._-][a-z0-9]+)*
  bool operator==(const Alias&) const = default;
};

struct Reference {
  std::string name;
  // monostate: the newest version that is neither a pre-release nor yanked
  std::variant<std::monostate, Version, Alias, Digest> selector;

  static Reference parse(std::string_view text);  // throws invalid_argument
  std::string to_string() const;
};

// NAME:VERSION and nothing else. Throws invalid_argument.
std::pair<std::string, Version> parse_exact(std::string_view text);

// An argument that could be an organ folder or a reference is a folder when it starts with '/' or
// '.', or names a folder that holds an organ.json.
bool looks_like_folder(std::string_view text);

}  // namespace organ::format

#pragma GCC visibility pop
