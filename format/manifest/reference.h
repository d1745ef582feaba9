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

// A name of a version that may come to name another one. What reads as a version or as a range
// (1.x, 2) is no alias, nor is `sha256`. 128 bytes at most.
struct Alias {
  std::string name;  // [a-z0-9]+([._-][a-z0-9]+)*
  bool operator==(const Alias&) const = default;
};

// Which version of which organ somebody means. Whether there is one, a registry says.
struct Reference {
  std::string name;  // check_name() takes it
  // monostate: the newest version that is neither a pre-release nor withdrawn; a range: the newest
  // in it that is not withdrawn
  std::variant<std::monostate, Version, Alias, Digest, VersionRange> selector;

  // Throws invalid_argument: a name, version, alias, range or digest outside its grammar; a path
  // (in front '/' or '.') or an URL.
  static Reference parse(std::string_view text);
  std::string to_string() const;  // parse() of it gives the same
};

// NAME:VERSION and nothing else. Throws invalid_argument.
std::pair<std::string, Version> parse_exact(std::string_view text);

// An argument that could be an organ folder or a reference is a folder when it starts with '/' or
// '.', or names a folder that holds an organ.json or may not be looked into. Asks the file system,
// relative to the working folder; never throws Error.
bool looks_like_folder(std::string_view text);

}  // namespace organ::format

#pragma GCC visibility pop
