// SPDX-License-Identifier: Apache-2.0
// The files of a tokenizer: a tokenizer.json alone, as the package `tokenizers` reads it, or a
// folder, as transformers does.
#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/path_status.h"
#include "train/tokenizer/internal/reader.h"

namespace organ::train {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxBytes = std::uint64_t{64} << 20;

Json read_json_file(const fs::path& path) {
  JsonLimits limits;
  limits.bytes = kMaxBytes;
  limits.string_bytes = std::uint64_t{4} << 20;
  limits.keys = 16'000'000;
  limits.foreign = true;  // so that a model we refuse is refused by its name
  return parse_json(read_file(path, kMaxBytes), limits, path.filename().string());
}

std::map<std::string, std::string> read_special_names(const fs::path& file) {
  std::map<std::string, std::string> names;
  if (!is_there(file)) return names;
  const Json json = read_json_file(file);
  const JsonObject config(json, "tokenizer_config.json");
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
  format::TokenizerFiles files;
  files.document = std::make_shared<const Json>(read_json_file(path));
  files.special_names = read_special_names(path.parent_path() / "tokenizer_config.json");
  return files;
}

}  // namespace organ::train
