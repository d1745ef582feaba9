// SPDX-License-Identifier: Apache-2.0
#include "format/organ/ignored_files.h"

#include <algorithm>
#include <utility>

#include "format/base/fail.h"

namespace organ::format {

bool is_ignored_by_default(std::string_view name) {
  return std::find(std::begin(kIgnoredFiles), std::end(kIgnoredFiles), name) !=
         std::end(kIgnoredFiles);
}

bool is_unfinished_signature(std::string_view name) {
  constexpr std::string_view kPrefix = ".model.sig.", kSuffix = ".tmp";
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return false;
  name.remove_prefix(kPrefix.size());
  constexpr std::size_t kRandom = 10;
  if (name.size() != kRandom + kSuffix.size()) return false;
  name.remove_suffix(kSuffix.size());
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

std::string left_by(std::string_view name) {
  constexpr std::pair<std::string_view, std::string_view> kTools[] = {
      {".cache", "'hf download --local-dir' leaves it"},
      {".DS_Store", "macOS leaves it"},
      {".huggingface", "older 'huggingface-cli download --local-dir' leaves it"},
      {".ipynb_checkpoints", "Jupyter leaves it"},
      {"Thumbs.db", "Windows leaves it"},
      {"__MACOSX", "macOS archives leave it"},
      {"lost+found", "the file system has it"},
  };
  std::string_view who = name.starts_with("._") ? "macOS leaves it" : "";
  if (is_unfinished_signature(name)) who = "a signing that was ended by force left it";
  for (const auto& [left, tool] : kTools) {
    if (left == name) who = tool;
  }
  return who.empty() ? "" : fmt::format("; {}: remove it, the organ does not need it", who);
}

}  // namespace organ::format
