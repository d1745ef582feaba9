// SPDX-License-Identifier: Apache-2.0
#include "format/manifest/semver.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/support.h"

namespace organ::format {
using test::error_of;

namespace {

bool contains(const std::string& range, const std::string& version) {
  return VersionRange::parse(range).contains(Version::parse(version));
}

// Those of `versions` that are in the range, a space between them.
std::string chosen(const std::string& range, const std::vector<std::string>& versions) {
  std::string found;
  for (const std::string& version : versions) {
    if (contains(range, version)) found += (found.empty() ? "" : " ") + version;
  }
  return found;
}

// Small numbers, so that bounds are met; few words of pre-releases.
class Draw {
 public:
  explicit Draw(unsigned seed) : random_(seed) {}

  std::string version(bool with_prerelease) {
    std::string text = number() + "." + number() + "." + number();
    if (with_prerelease && below(2) == 0) text += "-" + word();
    return text;
  }
  std::string comparator() {
    static const std::vector<std::string> signs = {"", "=", "<", "<=", ">", ">=", "~", "^"};
    return signs[below(signs.size())] + partial();
  }
  std::string alternative() {
    if (below(6) == 0) return partial() + " - " + partial();
    std::string text = comparator();
    for (std::size_t more = below(3); more > 0; --more) text += " " + comparator();
    return text;
  }
  std::size_t below(std::size_t end) {
    return std::uniform_int_distribution<std::size_t>(0, end - 1)(random_);
  }

 private:
  std::string partial() {
    switch (below(5)) {
      case 0: return number();
      case 1: return number() + "." + number();
      case 2: return number() + ".x";
      case 3: return version(true);
      default: return version(false);
    }
  }
  std::string number() { return std::to_string(below(4)); }
  std::string word() {
    static const std::vector<std::string> words = {"0", "1", "alpha", "alpha.1", "beta", "rc.2"};
    return words[below(words.size())];
  }

  std::mt19937 random_;
};

}  // namespace

TEST_CASE("a version that is not SemVer 2.0 is refused with the reason") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "cannot be empty"},      {"1", "three numbers"},
      {"1.0", "three numbers"},     {"1.0.0.0", "three numbers"},
      {"01.0.0", "leading zero"},   {"1.0.x", "three numbers"},
      {"1.0.0-", "is empty"},       {"1.0.0-a..b", "is empty"},
      {"1.0.0-01", "leading zero"}, {"1.0.0-a_b", "other than"},
      {"1.0.0+", "is empty"},       {"1.0.0+a+b", "other than"},
      {"v1.0.0", "three numbers"},  {"-1.0.0", "three numbers"},
      {"1.0.0 ", "three numbers"},  {"9999999999999999999.0.0", "18 digits"}};
  for (const auto& [version, reason] : cases) {
    const auto& text = version;
    CAPTURE(text);
    const std::string error = error_of([&] { Version::parse(text); });
    CHECK(error.starts_with("invalid_argument: "));
    CHECK(error.find(reason) != std::string::npos);
  }
  CHECK_NOTHROW(Version::parse("1.0.0-0a.-.x--y+001"));
}

TEST_CASE("versions are ordered as SemVer 2.0 item 11 says") {
  const std::vector<std::string> ascending = {"1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta",
                                              "1.0.0-beta",  "1.0.0-beta.2",  "1.0.0-beta.11",
                                              "1.0.0-rc.1",  "1.0.0",         "1.0.1",
                                              "1.2.0",       "1.10.0",        "2.0.0"};
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    for (std::size_t j = 0; j < ascending.size(); ++j) {
      const auto order = Version::parse(ascending[i]).precedence(Version::parse(ascending[j]));
      CHECK(order == (i <=> j));
    }
  }
  CHECK(std::is_eq(Version::parse("1.0.0+a").precedence(Version::parse("1.0.0+b"))));
  CHECK_FALSE(Version::parse("1.0.0+a") == Version::parse("1.0.0+b"));
}

TEST_CASE("each form of a range is what node-semver's README says it is") {
  // On the left what people write, on the right the bounds it stands for.
  const std::vector<std::pair<std::string, std::string>> forms = {
      {"1.2.3", "=1.2.3"},
      {"1.2", ">=1.2.0 <1.3.0-0"},
      {"1.2.x", ">=1.2.0 <1.3.0-0"},
      {"1", ">=1.0.0 <2.0.0-0"},
      {"1.X.*", ">=1.0.0 <2.0.0-0"},
      {"*", ">=0.0.0"},
      {"x.x", ">=0.0.0"},
      {">1.2", ">=1.3.0"},
      {">1", ">=2.0.0"},
      {"<1.2", "<1.2.0-0"},
      {"<=1.2", "<1.3.0-0"},
      {"<=1", "<2.0.0-0"},
      {">*", "<0.0.0-0"},
      {"<x", "<0.0.0-0"},
      {">=x", ">=0.0.0"},
      {"1.2.3 - 2.3.4", ">=1.2.3 <=2.3.4"},
      {"1.2 - 2.3.4", ">=1.2.0 <=2.3.4"},
      {"1.2.3 - 2.3", ">=1.2.3 <2.4.0-0"},
      {"1.2.3 - 2", ">=1.2.3 <3.0.0-0"},
      {"* - 2", "<3.0.0-0"},
      {"~1.2.3", ">=1.2.3 <1.3.0-0"},
      {"~1.2", ">=1.2.0 <1.3.0-0"},
      {"~1", ">=1.0.0 <2.0.0-0"},
      {"~0.2.3-beta.2", ">=0.2.3-beta.2 <0.3.0-0"},
      {"^1.2.3", ">=1.2.3 <2.0.0-0"},
      {"^0.2.3", ">=0.2.3 <0.3.0-0"},
      {"^0.0.3", ">=0.0.3 <0.0.4-0"},
      {"^0.0.0", ">=0.0.0 <0.0.1-0"},
      {"^1.2.3-beta.2", ">=1.2.3-beta.2 <2.0.0-0"},
      {"^0.0.3-beta", ">=0.0.3-beta <0.0.4-0"},
      {"^0.0", ">=0.0.0 <0.1.0-0"},
      {"^0.0.x", ">=0.0.0 <0.1.0-0"},
      {"^0", ">=0.0.0 <1.0.0-0"},
      {"^1.x", ">=1.0.0 <2.0.0-0"},
      {"  >= 1.2   < 2 ", ">=1.2.0 <2.0.0-0"},
  };
  Draw draw(1);
  for (const auto& [form, bounds] : forms) {
    const std::string written = form, meant = bounds;
    CAPTURE(written);
    for (int i = 0; i < 300; ++i) {
      const std::string version = draw.version(true);
      CAPTURE(version);
      CHECK(contains(written, version) == contains(meant, version));
    }
  }
}

TEST_CASE("a pre-release is in a range that names one of the same numbers, and only there") {
  const std::vector<std::string> versions = {"1.2.3-alpha", "1.2.3-alpha.7", "1.2.3-beta", "1.2.3",
                                             "1.2.4-alpha", "1.2.4",         "2.0.0-rc.1", "2.0.0"};
  CHECK(chosen("^1.2.3", versions) == "1.2.3 1.2.4");
  CHECK(chosen("^1.2.3-alpha.3", versions) == "1.2.3-alpha.7 1.2.3-beta 1.2.3 1.2.4");
  CHECK(chosen(">1.2.3-alpha", versions) == "1.2.3-alpha.7 1.2.3-beta 1.2.3 1.2.4 2.0.0");
  CHECK(chosen(">=1.2.3-alpha <1.2.3-beta", versions) == "1.2.3-alpha 1.2.3-alpha.7");
  CHECK(chosen("1.2.3-beta", versions) == "1.2.3-beta");
  CHECK(chosen("<=1.2.3-beta", versions) == "1.2.3-alpha 1.2.3-alpha.7 1.2.3-beta");
  CHECK(chosen(">1 || >=1.2.4-0 <1.2.4", versions) == "1.2.4-alpha 2.0.0");
  CHECK(chosen("*", versions) == "1.2.3 1.2.4 2.0.0");
  CHECK(chosen(">=2.0.0-0", versions) == "2.0.0-rc.1 2.0.0");
  CHECK(chosen("<2", versions) == "1.2.3 1.2.4");
  CHECK_FALSE(contains("^1.2.3", "2.0.0-rc.1"));
  CHECK(contains("1.2.3", "1.2.3+build.9"));
  CHECK(contains("1.2.3+build.1", "1.2.3+build.9"));
}

TEST_CASE("a range that is none is refused with the reason") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "alternative is empty"},
      {"   ", "alternative is empty"},
      {"1.x ||", "alternative is empty"},
      {"|| 1.x", "alternative is empty"},
      {"1 || || 2", "alternative is empty"},
      {"1 | 2", "neither a number nor x"},
      {"^", "version is missing"},
      {">= ", "version is missing"},
      {"1.2.3.4", "more than three numbers"},
      {"01.2", "leading zero"},
      {"1.x.3", "behind an x"},
      {"x.2", "behind an x"},
      {"1.2-beta", "only a whole version"},
      {"1.x+build", "only a whole version"},
      {"1.2.3-", "an identifier is empty"},
      {"1.2.3-01", "leading zero"},
      {"1.2.3-a_b", "other than"},
      {"v1.2", "neither a number nor x"},
      {"~>1.2", "neither a number nor x"},
      {"!1.2", "neither a number nor x"},
      {"1.2,1.3", "neither a number nor x"},
      {">=1.0\t<2.0", "neither a number nor x"},
      {">=1.0 - 2.0", "neither a number nor x"},
      {"1 - 2 - 3", "neither a number nor x"},
      {"9999999999999999999", "18 digits"},
      {std::string(257, '1'), "at most 256"},
      {std::string("1\0.2", 4), "neither a number nor x"}};
  for (const auto& [range, reason] : cases) {
    const auto& text = range;
    CAPTURE(text);
    const std::string error = error_of([&] { VersionRange::parse(text); });
    CHECK(error.starts_with("invalid_argument: "));
    CHECK(error.find(reason) != std::string::npos);
  }
  CHECK(contains("^999999999999999999", "999999999999999999.1.0"));  // its end has one digit more
}

TEST_CASE("any text is a range or refused, and what it refuses it refuses as an argument") {
  Draw draw(2);
  const std::string letters = "0123x*.-+<>=^~| ab";
  std::size_t ranges = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    for (std::size_t left = draw.below(9); left > 0; --left) {
      text += letters[draw.below(letters.size())];
    }
    CAPTURE(text);
    const std::string error = error_of([&] {
      const auto range = VersionRange::parse(text);
      CHECK(range.to_string() == text);
      range.contains(Version::parse("1.0.0-a"));
      ++ranges;
    });
    CHECK((error == "no error" || error.starts_with("invalid_argument: range ")));
  }
  CHECK(ranges > 500);
}

TEST_CASE("alternatives add up, bounds cut down") {
  Draw draw(3);
  for (int i = 0; i < 5000; ++i) {
    const std::string a = draw.alternative(), b = draw.alternative();
    const std::string one = draw.comparator(), other = draw.comparator();
    const std::string version = draw.version(true);
    CAPTURE(a);
    CAPTURE(b);
    CAPTURE(one);
    CAPTURE(other);
    CAPTURE(version);
    CHECK(contains(fmt::format("{} || {}", a, b), version) ==
          (contains(a, version) || contains(b, version)));
    const bool both = contains(fmt::format("{} {}", one, other), version);
    CHECK(both == contains(fmt::format("{} {}", other, one), version));
    const bool release = !Version::parse(version).is_prerelease();
    if (release) CHECK(both == (contains(one, version) && contains(other, version)));
    const auto range = VersionRange::parse(a);
    CHECK((release || range.may_contain_prereleases() || !range.contains(Version::parse(version))));
  }
}

TEST_CASE("what lies between two versions of a bounded range is in it too") {
  Draw draw(4);
  for (int i = 0; i < 5000; ++i) {
    const std::string range = draw.comparator();
    const std::string low = draw.version(false), middle = draw.version(false),
                      high = draw.version(false);
    const auto ordered = [](const std::string& x, const std::string& y) {
      return std::is_lteq(Version::parse(x).precedence(Version::parse(y)));
    };
    if (!ordered(low, middle) || !ordered(middle, high)) continue;
    CAPTURE(range);
    CAPTURE(middle);
    if (contains(range, low) && contains(range, high)) CHECK(contains(range, middle));
  }
}

}  // namespace organ::format
