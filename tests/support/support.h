// SPDX-License-Identifier: Apache-2.0
// What several test programs share: scratch folders, error expectations, damaged files.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "format/base/error.h"
#include "format/base/file.h"

namespace organ::test {

// A fresh folder under $TMPDIR, removed at the end of the test.
inline TempFolder scratch() {
  return TempFolder(std::filesystem::temp_directory_path(), "organ-test");
}

// Runs `action` and returns "CODE: message" of the Error it throws, or "no error".
inline std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return std::string(to_string(error.code())) + ": " + error.what();
  }
  return "no error";
}

// The test data that does not belong to the project (see shared/data/README.md); empty path when
// it is missing, and the test then says so with MESSAGE and returns.
inline std::filesystem::path shared_data(std::string_view name) {
  const char* root = std::getenv("ORGAN_SHARED");
  const auto path = std::filesystem::path(root ? root : "../shared") / "data" / name;
  return std::filesystem::exists(path) ? path : std::filesystem::path();
}

}  // namespace organ::test
