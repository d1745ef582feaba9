// SPDX-License-Identifier: Apache-2.0
// Names and references: name:version, name@alias, name@range, name@sha256:<64 hex>.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "format/base/digest.h"
#include "format/manifest/semver.h"

#pragma GCC visibility push(default)

namespace organ::format {

// [a-z0-9]+([._-][a-z0-9]+)* parts joined by '/', at most 255 bytes. Throws invalid_argument.
void check_name(std::string_view name);

// What reads as a version or as a range (1.x, 2) is no alias.
struct Alias {
  std::string name;  // [a-z0-9]+([._-][a-z0-9]+)*
  bool operator==(const Alias&) const = default;
};

struct Reference {
  std::string name;
  // monostate: the newest version that is neither a pre-release nor withdrawn; a range: the newest
  // in it that is not withdrawn
  std::variant<std::monostate, Version, Alias, Digest, VersionRange> selector;

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
