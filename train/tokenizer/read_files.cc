// SPDX-License-Identifier: Apache-2.0
// The files of a tokenizer, and GPT-2's pair of files in the form of a tokenizer.json.
#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "train/tokenizer/internal/reader.h"
#include "train/tokenizer/text/unicode.h"

namespace organ::train {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxBytes = std::uint64_t{64} << 20;
constexpr std::string_view kEndOfText = "<|endoftext|>";  // GPT-2's only special token

Json read_json_file(const fs::path& path) {
  JsonLimits limits;
  limits.bytes = kMaxBytes;
  limits.string_bytes = std::uint64_t{4} << 20;
  limits.keys = 16'000'000;
  limits.reals = true;  // so that a model we refuse is refused by its name
  return parse_json(read_file(path, kMaxBytes), limits, path.filename().string());
}

Json read_merge_lines(const fs::path& path) {
  const std::string text = read_file(path, kMaxBytes);
  if (const auto at = find_invalid_utf8(text)) {
    fail(ErrorCode::corrupt, "merges.txt: byte {} is not valid UTF-8", *at);
  }
  Json lines = Json::array();
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty() || end + 1 < text.size()) lines.push_back(std::move(line));
    at = end + 1;
  }
  return lines;
}

Json byte_level() {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", false},
          {"trim_offsets", true},
          {"use_regex", true}};
}

// What tokenizer_config.json asks to put around a text. transformers asks it only where no
// tokenizer.json has a template of its own.
Json template_of_config(const fs::path& folder, const Json& vocab) {
  const fs::path file = folder / "tokenizer_config.json";
  if (!fs::exists(file)) return nullptr;
  const Json json = read_json_file(file);
  const JsonObject config(json, "tokenizer_config.json");
  const auto names = read_special_names(folder);
  Json single = Json::array(), special_tokens = Json::object();
  const auto add = [&](const char* wanted, const char* key) {
    if (!config.optional_boolean(wanted).value_or(false)) return;
    const auto named = names.find(key);
    const std::string token(named == names.end() ? kEndOfText : named->second);
    if (!vocab.contains(token)) config.fail_field(wanted, quote(token) + " is no token");
    single.push_back({{"SpecialToken", {{"id", token}, {"type_id", 0}}}});
    special_tokens[token] = {{"id", token}, {"ids", {vocab[token]}}, {"tokens", {token}}};
  };
  add("add_bos_token", "bos_token");
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  add("add_eos_token", "eos_token");
  if (special_tokens.empty()) return nullptr;
  return {{"type", "TemplateProcessing"},
          {"single", std::move(single)},
          {"pair", Json::array()},
          {"special_tokens", std::move(special_tokens)}};
}

Json read_gpt2_pair(const fs::path& folder) {
  Json vocab = read_json_file(folder / "vocab.json");
  Json added = Json::array();
  if (vocab.is_object() && vocab.contains(kEndOfText)) {
    added.push_back({{"id", vocab[std::string(kEndOfText)]},
                     {"content", kEndOfText},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  Json around = template_of_config(folder, vocab);
  return {{"version", "1.0"},
          {"added_tokens", std::move(added)},
          {"normalizer", nullptr},
          {"pre_tokenizer", byte_level()},
          {"post_processor", std::move(around)},
          {"decoder", byte_level()},
          {"model",
           {{"type", "BPE"},
            {"vocab", std::move(vocab)},
            {"merges", read_merge_lines(folder / "merges.txt")}}}};
}

}  // namespace

Json read_tokenizer_document(const fs::path& path) {
  if (!fs::is_directory(path)) return read_json_file(path);
  if (fs::exists(path / "tokenizer.json")) return read_json_file(path / "tokenizer.json");
  if (fs::exists(path / "vocab.json") && fs::exists(path / "merges.txt")) {
    return read_gpt2_pair(path);
  }
  fail(ErrorCode::not_found, "{}: holds no tokenizer.json, nor both vocab.json and merges.txt",
       quote(path.string()));
}

std::map<std::string, std::string> read_special_names(const fs::path& path) {
  std::map<std::string, std::string> names;
  const fs::path folder = fs::is_directory(path) ? path : path.parent_path();
  const fs::path file = folder / "tokenizer_config.json";
  if (!fs::exists(file)) return names;
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

}  // namespace organ::train
