// SPDX-License-Identifier: Apache-2.0
// Each line of stdin, RANGE TAB VERSION: 1 when the version is in the range, 0 when it is not,
// `refused` when one of them is none.
#include <iostream>
#include <string>

#include "format/base/error.h"
#include "format/manifest/semver.h"

namespace {

std::string answer(const std::string& line) {
  const std::size_t tab = line.find('\t');
  if (tab == std::string::npos) return "refused";
  try {
    const auto range = organ::format::VersionRange::parse(line.substr(0, tab));
    return range.contains(organ::format::Version::parse(line.substr(tab + 1))) ? "1" : "0";
  } catch (const organ::Error&) {
    return "refused";
  }
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) std::cout << answer(line) << '\n';
}
