// SPDX-License-Identifier: Apache-2.0
// SemVer 2.0 versions (semver.org) and ranges of them as node-semver 7 has them
// (github.com/npm/node-semver, "Ranges"). schemas/registry.md holds the grammar.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/error.h"

#pragma GCC visibility push(default)

namespace organ::format {

// A SemVer 2.0 version; ordered by SemVer precedence (build metadata ignored in order, kept in
// equality and text). One that was made without parse() is no version: its text is empty.
class Version {
 public:
  // Throws invalid_argument: not in the grammar (no `v` in front, all three numbers), more than 128
  // bytes (an OCI tag holds no more), a number of more than 18 digits.
  static Version parse(std::string_view text);
  const std::string& to_string() const { return text_; }  // as it was given
  bool is_prerelease() const { return !prerelease_.empty(); }
  // MAJOR, MINOR, PATCH: equal for a release and its pre-releases. Each is below 10^18.
  const std::array<std::uint64_t, 3>& numbers() const { return numbers_; }
  // SemVer 2.0, item 11. Versions that differ in build metadata alone are equivalent here, and not
  // equal.
  std::weak_ordering precedence(const Version& other) const;
  bool operator==(const Version& other) const { return text_ == other.text_; }

 private:
  friend class VersionRange;
  std::string text_;
  std::array<std::uint64_t, 3> numbers_{};
  std::vector<std::string> prerelease_;
};

// Which versions somebody wants: ^1.2, ~1.4, >=1.0 <2.0, 1.x, 1.2.3 - 1.5, 1.x || >=2.5, *.
// Equal are ranges of equal text: ^1.2 and >=1.2.0 <2.0.0-0 are not, though they hold the same
// versions. One that was made without parse() holds none.
class VersionRange {
 public:
  // Throws invalid_argument: not in the grammar, an empty alternative, more than 256 bytes.
  static VersionRange parse(std::string_view text);
  const std::string& to_string() const { return text_; }  // as it was given

  // Build metadata say nothing. A pre-release is in it only when an alternative that it satisfies
  // has a bound that is a pre-release of the same MAJOR.MINOR.PATCH: who wants those says so.
  bool contains(const Version& version) const;
  // False: contains() is false for every pre-release, so that nobody need look at them. True
  // promises nothing.
  bool may_contain_prereleases() const;

  bool operator==(const VersionRange& other) const { return text_ == other.text_; }

 private:
  class [[gnu::visibility("hidden")]] Parser;
  enum class Comparison { less, at_most, equal, at_least, greater };
  struct Bound {
    Comparison comparison = Comparison::equal;
    Version version;
    bool holds(const Version& candidate) const;
  };
  using Bounds = std::vector<Bound>;  // all must hold; none: any release

  std::string text_;
  std::vector<Bounds> alternatives_;
};

}  // namespace organ::format

#pragma GCC visibility pop
