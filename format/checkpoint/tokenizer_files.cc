// SPDX-License-Identifier: Apache-2.0
#include "format/checkpoint/tokenizer_files.h"

#include <algorithm>
#include <memory>

#include "format/base/fail.h"
#include "format/checkpoint/checkpoint.h"
#include "format/checkpoint/folder_rules.h"
#include "format/checkpoint/internal/tokenizer_parts.h"

namespace organ::format {
namespace internal {
namespace {

constexpr std::uint64_t kMaxBytes = std::uint64_t{64} << 20;

Json parse_text(std::string_view text, std::string_view name) {
  JsonLimits limits;
  limits.bytes = kMaxBytes;
  limits.string_bytes = std::uint64_t{4} << 20;  // sentencepiece normalisers hold a large map
  limits.keys = 16'000'000;
  limits.foreign = true;  // so that a model we refuse is refused by its name
  return parse_json(text, limits, name);
}

}  // namespace

void refuse_tokenizer(std::string_view file, std::string_view what, std::string_view hint) {
  throw Error(ErrorCode::incompatible, fmt::format("{}: {} is not supported", file, what),
              std::string(hint));
}

TokenizerSources::TokenizerSources(const std::filesystem::path& path) : folder(path) {
  if (has(kConfigFile)) config = parse(kConfigFile);
  if (has(kTokenizerConfig)) settings_json = parse(kTokenizerConfig);
  if (!has(kTokenizerFile)) return;
  const std::string text = folder.read(kTokenizerFile, kMaxBytes);
  byte_level_text = text.find("\"ByteLevel\"") != std::string::npos;
  tokenizer = parse_text(text, kTokenizerFile);
}

Json TokenizerSources::parse(std::string_view name) const {
  return parse_text(folder.read(name, kMaxBytes), name);
}

Json TokenizerSources::lines(std::string_view name) const {
  const std::string text = folder.read(name, kMaxBytes);
  try {
    Json(text).dump();  // which knows UTF-8
  } catch (const Json::type_error&) {
    fail(ErrorCode::corrupt, "{}: is not valid UTF-8", name);
  }
  Json lines = Json::array();
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    if (line.ends_with('\r')) line.pop_back();
    lines.push_back(std::move(line));
    at = end + 1;
  }
  return lines;
}

JsonObject TokenizerSources::object(const Json& json, std::string_view name) const {
  static const Json kNothing = Json::object();
  return {json.is_null() ? kNothing : json, std::string(name)};
}

}  // namespace internal

Json read_tokenizer_json(const std::filesystem::path& folder, std::string_view name) {
  return internal::parse_text(read_model_file(folder, name, internal::kMaxBytes), name);
}

namespace {

using internal::AddedVocabulary;
using internal::TokenizerClass;
using internal::TokenSetting;
using internal::TokenSettings;

// Keys that would put something else in the place of what the files hold.
void refuse_other_parts(const JsonObject& settings) {
  for (const char* key : {"vocab", "merges", "tokenizer_object", "post_processor",
                          "tokenizer_padding", "tokenizer_truncation"}) {
    if (!settings.is_null(key)) internal::refuse_tokenizer(internal::kTokenizerConfig, quote(key));
  }
  for (const char* key : {"init_inputs", "fast_tokenizer_files"}) {
    if (settings.is_null(key) || settings.at(key).empty()) continue;
    if (settings.at(key) == Json::array({internal::kTokenizerFile})) continue;
    internal::refuse_tokenizer(internal::kTokenizerConfig, quote(key));
  }
  if (settings.optional_boolean("fix_mistral_regex").value_or(false)) {
    internal::refuse_tokenizer(internal::kTokenizerConfig, "'fix_mistral_regex'");
  }
}

// The tokens that init adds, in its order.
std::vector<TokenSetting> tokens_to_add(const TokenSettings& tokens, const AddedVocabulary& added) {
  std::vector<TokenSetting> list = tokens.decoder;
  std::set<std::string_view> known, named;
  for (const TokenSetting& token : tokens.decoder) known.insert(token.content);
  const auto append = [&](const TokenSetting& token) {
    if (!known.contains(token.content) && !added.has(token.content)) list.push_back(token);
  };
  const auto append_named = [&](const TokenSetting& token) {
    named.insert(token.content);
    append(token);
  };
  for (const std::string_view name : internal::kTokenNames) {
    if (const auto found = tokens.named.find(name); found != tokens.named.end()) {
      append_named(found->second);
    }
  }
  for (const TokenSetting& token : tokens.own) append_named(token);
  for (const TokenSetting& token : tokens.extra) append(token);
  for (TokenSetting& token : list) token.special = token.special || named.contains(token.content);
  return list;
}

// Tokens without an id are numbered in the order of their names in the file, which a parsed
// document does not keep.
void check_order(const TokenSettings& tokens, const AddedVocabulary& added) {
  std::set<std::string_view> fresh;
  for (const TokenSetting& token : tokens.own) {
    if (!added.id_of(token.content)) fresh.insert(token.content);
  }
  for (const TokenSetting& token : tokens.decoder) fresh.erase(token.content);
  for (const auto& [name, token] : tokens.named) fresh.erase(token.content);
  if (fresh.size() < 2) return;
  internal::refuse_tokenizer(
      internal::kTokenizerConfig,
      fmt::format("more than one special token of the model's own without an id ({}, …)",
                  quote(*fresh.begin())));
}

void add_tokens(const TokenSettings& tokens, TokenizerClass which, AddedVocabulary& added) {
  check_order(tokens, added);
  for (const TokenSetting& token : tokens_to_add(tokens, added)) added.add(token);
  if (which != TokenizerClass::qwen2) return;
  // Qwen2Tokenizer adds its special tokens once more, by their texts.
  const auto again = [&](const TokenSetting& token) {
    TokenSetting text;
    text.content = token.content;
    text.special = true;
    added.add(text);
  };
  for (const auto& [name, token] : tokens.named) again(token);
  for (const TokenSetting& token : tokens.own) again(token);
  for (const TokenSetting& token : tokens.extra) again(token);
}

class Template {
 public:
  Template(const JsonObject& settings, const TokenSettings& tokens, const AddedVocabulary& added)
      : settings_(settings), tokens_(tokens), added_(added) {}

  // What stands around a text; nullopt where the file says it.
  std::optional<Json> of(TokenizerClass which, bool from_tokenizer_json) const {
    if (which == TokenizerClass::bert) {
      return internal::template_processor(token("cls_token"), token("sep_token"));
    }
    if (which == TokenizerClass::t5) {
      return internal::template_processor(std::nullopt,
                                          std::pair("</s>", token("eos_token")->second));
    }
    if (from_tokenizer_json) return std::nullopt;
    return internal::template_processor(asked("add_bos_token", "bos_token"),
                                        asked("add_eos_token", "eos_token"));
  }

 private:
  using Placed = std::optional<std::pair<std::string, std::uint64_t>>;

  Placed token(std::string_view name) const {
    const auto found = tokens_.named.find(name);
    if (found == tokens_.named.end()) return std::nullopt;
    const auto id = added_.id_of(found->second.content);
    if (!id) return std::nullopt;  // an empty text
    return std::pair(found->second.content, *id);
  }
  Placed asked(const char* flag, std::string_view name) const {
    return settings_.optional_boolean(flag).value_or(false) ? token(name) : std::nullopt;
  }

  const JsonObject& settings_;
  const TokenSettings& tokens_;
  const AddedVocabulary& added_;
};

}  // namespace

TokenizerFiles read_tokenizer_files(const std::filesystem::path& folder) {
  const internal::TokenizerSources sources(folder);
  const JsonObject settings = sources.settings();
  refuse_other_parts(settings);
  const TokenizerClass which = internal::tokenizer_class(sources);
  const TokenSettings tokens = internal::token_settings(sources, which);
  TokenizerFiles files;
  Json document = internal::tokenizer_stages(sources, which, tokens);
  if (!document.contains("model")) document["model"] = nullptr;
  AddedVocabulary added(document["model"]);
  added.load(sources.object(document, internal::kTokenizerFile));
  add_tokens(tokens, which, added);
  document["added_tokens"] = added.tokens();
  files.once_normalized = added.once_normalized();
  const bool in_json = !sources.tokenizer.is_null();
  if (auto around = Template(settings, tokens, added).of(which, in_json)) {
    document["post_processor"] = std::move(*around);
  }
  for (const auto& [name, token] : tokens.named) {
    if (!token.content.empty()) files.special_names.emplace(name, token.content);
  }
  files.split_special_tokens = settings.optional_boolean("split_special_tokens").value_or(false);
  files.exact_scores = which == TokenizerClass::t5;
  files.document = std::make_shared<const Json>(std::move(document));
  return files;
}

}  // namespace organ::format
