// SPDX-License-Identifier: Apache-2.0
// Tokenizers of the test data, as they are and damaged.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "format/base/file.h"
#include "format/base/json.h"
#include "tests/support/paths.h"
#include "tests/support/support.h"
#include "train/tokenizer/tokenizer.h"

namespace organ::test {

inline Json load_fixture(const std::string& name) {
  const auto path = std::filesystem::path(kTokenizerData) / name;
  JsonLimits limits;
  limits.reals = true;
  return parse_json(read_file(path, 1 << 20), limits, name);
}

inline train::Tokenizer open_text(const std::string& text) {
  const auto folder = scratch();
  std::ofstream(folder.path() / "tokenizer.json") << text;
  return train::Tokenizer::open(folder.path());
}

// The error of a fixture after `edit`.
template <typename Edit>
std::string error_after(Edit edit, const std::string& name = "byte_level.json") {
  Json document = load_fixture(name);
  edit(document);
  return error_of([&] { open_text(document.dump()); });
}

inline bool has(const std::string& message, std::string_view part) {
  return message.find(part) != std::string::npos;
}

}  // namespace organ::test
