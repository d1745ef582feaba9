// SPDX-License-Identifier: Apache-2.0
// Defined in schemas/tokenizer-digest.md.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/json.h"
#include "format/checkpoint/checkpoint.h"
#include "format/checkpoint/internal/checkpoint_impl.h"
#include "format/checkpoint/internal/tokenizer_parts.h"
#include "format/checkpoint/tokenizer_files.h"

namespace organ::format {
namespace {

using internal::kTokenizerFile;
using internal::TokenizerSources;

constexpr std::string_view kSections[] = {"added_tokens", "model", "normalizer", "pre_tokenizer"};

// Null members left out, reals as hex floats: what canonical JSON demands.
Json plain(const Json& value) {
  if (value.is_number_float()) return signed_real(value.get<double>());
  if (value.is_array()) {
    Json array = Json::array();
    for (const Json& element : value) array.push_back(plain(element));
    return array;
  }
  if (!value.is_object()) return value;
  Json object = Json::object();
  for (const auto& [key, member] : value.items()) {
    if (!member.is_null()) object[key] = plain(member);
  }
  return object;
}

// Older files write a merge as "a b", newer ones as ["a","b"].
Json merge_pair(const Json& merge, const JsonObject& model) {
  if (merge.is_string()) {
    const auto& text = merge.get_ref<const std::string&>();
    const auto space = text.find(' ');
    if (space == std::string::npos) {
      model.fail_field("merges", fmt::format("{} is not a pair", quote(text)));
    }
    return {text.substr(0, space), text.substr(space + 1)};
  }
  const bool pair =
      merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string();
  if (!pair) model.fail_field("merges", "holds something that is not a pair of strings");
  return merge;
}

Json model_section(const JsonObject& model) {
  Json section = plain(model.value());
  section.erase("dropout");  // acts in training only
  if (model.is_null("merges")) return section;
  const Json& merges = model.at("merges");
  if (!merges.is_array()) model.fail_field("merges", "expected an array");
  Json& pairs = section["merges"] = Json::array();
  for (const Json& merge : merges) pairs.push_back(merge_pair(merge, model));
  return section;
}

Json added_tokens(const JsonObject& document) {
  std::vector<std::pair<std::uint64_t, Json>> tokens;
  for (const JsonObject& token : document.objects("added_tokens")) {
    tokens.emplace_back(token.unsigned_integer("id"), plain(token.value()));
  }
  std::stable_sort(tokens.begin(), tokens.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  Json section = Json::array();
  for (auto& [id, token] : tokens) section.push_back(std::move(token));
  return section;
}

Json canonical_sections(const Json& document) {
  const JsonObject object(document, std::string(kTokenizerFile));
  Json canonical = Json::object();
  for (const std::string_view section : kSections) {
    if (object.is_null(section)) continue;
    canonical[section] = section == "model"          ? model_section(object.object(section))
                         : section == "added_tokens" ? added_tokens(object)
                                                     : plain(object.at(section));
  }
  if (!canonical.contains("model")) object.fail_field("model", "is missing");
  return canonical;
}

Json canonical_tokenizer(const TokenizerFiles& files) {
  Json canonical = canonical_sections(*files.document);
  if (files.split_special_tokens) canonical["split_special_tokens"] = true;
  return canonical;
}

// Of a tokenizer that is not read here: what its files say, one by one. Keys of the settings that
// never change an id are left out.
Json canonical_files(const TokenizerSources& sources) {
  Json canonical = canonical_sections(sources.tokenizer);
  Json settings = plain(sources.settings().value());
  for (const char* key :
       {"chat_template", "clean_up_tokenization_spaces", "max_length", "model_max_length",
        "name_or_path", "padding_side", "processor_class", "truncation_side"}) {
    settings.erase(key);
  }
  canonical["files"]["tokenizer_config.json"] = std::move(settings);
  for (const char* name : {"added_tokens.json", "special_tokens_map.json"}) {
    if (sources.has(name)) canonical["files"][name] = plain(sources.parse(name));
  }
  return canonical;
}

}  // namespace

std::optional<Digest> tokenizer_digest(const std::filesystem::path& folder) {
  try {
    return sha256(canonical_json(canonical_tokenizer(read_tokenizer_files(folder))));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::not_found) return std::nullopt;
    if (error.code() != ErrorCode::incompatible) throw;
  }
  const TokenizerSources sources(folder);
  if (sources.tokenizer.is_null()) return std::nullopt;
  return sha256(canonical_json(canonical_files(sources)));
}

std::optional<Digest> Checkpoint::own_tokenizer_digest() const {
  std::call_once(impl_->tokenizer_read, [&] { impl_->tokenizer = tokenizer_digest(folder()); });
  return impl_->tokenizer;
}

bool has_tokenizer(const std::filesystem::path& folder, const Digest& recorded) {
  if (tokenizer_digest(folder) == recorded) return true;
  const TokenizerSources sources(folder);
  return !sources.tokenizer.is_null() &&
         sha256(canonical_json(canonical_sections(sources.tokenizer))) == recorded;
}

}  // namespace organ::format
