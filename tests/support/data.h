// SPDX-License-Identifier: Apache-2.0
// Where the files lie that tests read.
#pragma once

#include <filesystem>

namespace organ::test {

// tests/data of the source tree.
inline std::filesystem::path test_data() {
  return std::filesystem::path(__FILE__).parent_path().parent_path() / "data";
}

}  // namespace organ::test
