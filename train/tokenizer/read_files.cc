// SPDX-License-Identifier: Apache-2.0
// The files of a tokenizer: a tokenizer.json alone, as the package `tokenizers` reads it, or a
// folder, as transformers does.
#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/file_system.h"
#include "format/base/path_status.h"
#include "train/tokenizer/internal/reader.h"

namespace organ::train {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kConfig = "tokenizer_config.json";

std::map<std::string, std::string> read_special_names(const fs::path& folder) {
  std::map<std::string, std::string> names;
  if (!is_there(folder / kConfig)) return names;
  const Json json = format::read_tokenizer_json(folder, kConfig);
  const JsonObject config(json, std::string(kConfig));
  for (const char* key : {"bos_token", "eos_token", "unk_token", "pad_token"}) {
    if (config.is_null(key)) continue;
    // A token is its text, or an object that holds it.
    names[key] =
        config.at(key).is_object() ? config.object(key).string("content") : config.string(key);
  }
  return names;
}

}  // namespace

format::TokenizerFiles read_tokenizer(const fs::path& path) {
  if (is_folder(path)) return format::read_tokenizer_files(path);
  const fs::path folder = folder_of(path);
  format::TokenizerFiles files;
  files.document =
      std::make_shared<const Json>(format::read_tokenizer_json(folder, path.filename().string()));
  files.special_names = read_special_names(folder);
  return files;
}

}  // namespace organ::train
