// SPDX-License-Identifier: Apache-2.0
// Which class AutoTokenizer takes (models/auto/tokenization_auto.py of transformers 5.23, without
// mistral_common).
#include <algorithm>
#include <array>

#include "format/base/fail.h"
#include "format/checkpoint/checkpoint.h"
#include "format/checkpoint/internal/tokenizer_parts.h"

namespace organ::format::internal {
namespace {

constexpr std::string_view kBackend = "TokenizersBackend";
constexpr std::string_view kLlama = "LlamaTokenizer";

struct FamilyClass {
  std::string_view model_type, name;
};
// Of the families that are read. Llama and GPT-OSS have no class of their own there.
constexpr FamilyClass kFamilies[] = {{"bert", "BertTokenizer"},
                                     {"gpt2", "GPT2Tokenizer"},
                                     {"gpt_oss", ""},
                                     {"llama", ""},
                                     {"mistral", kBackend},
                                     {"qwen2", "Qwen2Tokenizer"},
                                     {"qwen3", "Qwen2Tokenizer"},
                                     {"t5", "T5Tokenizer"}};
// Whose files are known to name a wrong class: the family's is taken.
constexpr std::string_view kWrongInFiles = "qwen2";

struct NamedClass {
  std::string_view name;
  TokenizerClass which;
};
constexpr NamedClass kClasses[] = {{"BertTokenizer", TokenizerClass::bert},
                                   {"BloomTokenizer", TokenizerClass::backend},
                                   {"GPT2Tokenizer", TokenizerClass::gpt2},
                                   {kLlama, TokenizerClass::llama},
                                   {"PreTrainedTokenizer", TokenizerClass::backend},
                                   {"PythonBackend", TokenizerClass::backend},
                                   {"Qwen2Tokenizer", TokenizerClass::qwen2},
                                   {"T5Tokenizer", TokenizerClass::t5},
                                   {kBackend, TokenizerClass::backend}};

std::string_view without_fast(std::string_view name) {
  return name.ends_with("Fast") ? name.substr(0, name.size() - 4) : name;
}

TokenizerClass class_named(std::string_view name, std::string_view file) {
  const auto found = std::ranges::find(kClasses, without_fast(name), &NamedClass::name);
  if (found != std::end(kClasses)) return found->which;
  refuse_tokenizer(file, "tokenizer_class " + quote(name),
                   "'PreTrainedTokenizerFast' is the class of a tokenizer that is what its "
                   "tokenizer.json says");
}

// "" for a family without one.
std::string_view class_of_family(const TokenizerSources& sources) {
  const JsonObject config = sources.object(sources.config, kConfigFile);
  const std::string type = config.optional_string("model_type").value_or("");
  if (type.empty()) return {};
  const auto found = std::ranges::find(kFamilies, type, &FamilyClass::model_type);
  if (found == std::end(kFamilies)) {
    refuse_tokenizer(kConfigFile, "the tokenizer of model_type " + quote(type));
  }
  return found->name;
}

void refuse_own_code(const JsonObject& settings) {
  if (settings.is_null("auto_map")) return;
  const Json& map = settings.at("auto_map");
  if (map.is_array() || (map.is_object() && map.contains("AutoTokenizer"))) {
    refuse_tokenizer(kTokenizerConfig, "a tokenizer with code of its own (auto_map)");
  }
}

// A folder of a tokenizer alone.
TokenizerClass class_without_config(const TokenizerSources& sources) {
  return sources.tokenizer.is_null() ? TokenizerClass::gpt2 : TokenizerClass::backend;
}

}  // namespace

TokenizerClass tokenizer_class(const TokenizerSources& sources) {
  const JsonObject settings = sources.settings();
  const JsonObject config = sources.object(sources.config, kConfigFile);
  refuse_own_code(settings);
  const bool in_settings = !settings.optional_string("tokenizer_class").value_or("").empty();
  const std::string_view file = in_settings ? kTokenizerConfig : kConfigFile;
  const std::string named = in_settings ? settings.string("tokenizer_class")
                                        : config.optional_string("tokenizer_class").value_or("");
  const std::string_view family = class_of_family(sources);
  if (named.empty()) {
    if (!family.empty()) return class_named(family, kConfigFile);
    return sources.config.empty() ? class_without_config(sources) : TokenizerClass::backend;
  }
  const std::string type = config.optional_string("model_type").value_or("");
  if (without_fast(named) == kLlama && sources.byte_level_text && type != kWrongInFiles) {
    return TokenizerClass::backend;  // LlamaTokenizer would read it as another tokenizer
  }
  if (family.empty() || family == without_fast(named)) return class_named(named, file);
  if (family == kBackend) return TokenizerClass::backend;
  return class_named(type == kWrongInFiles ? family : std::string_view(named), file);
}

}  // namespace organ::format::internal
