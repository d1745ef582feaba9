// SPDX-License-Identifier: Apache-2.0
// Defined in schemas/tokenizer-digest.md.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/json.h"
#include "format/checkpoint/checkpoint.h"
#include "format/checkpoint/internal/checkpoint_files.h"

namespace organ::format {
namespace {

constexpr std::string_view kTokenizerFile = "tokenizer.json";
constexpr std::string_view kSections[] = {"added_tokens", "model", "normalizer", "pre_tokenizer"};

// Null members left out, reals as hex floats: what canonical JSON demands.
Json plain(const Json& value) {
  if (value.is_number_float()) return real_to_hex(value.get<double>());
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

}  // namespace

std::optional<Digest> tokenizer_digest(const std::filesystem::path& path) {
  const internal::ModelFolder folder(path);
  if (!folder.has(kTokenizerFile)) return std::nullopt;
  JsonLimits limits;
  limits.bytes = std::uint64_t{64} << 20;
  limits.string_bytes = std::uint64_t{4} << 20;  // SentencePiece normalisers hold a large map
  limits.keys = 8'000'000;
  limits.reals = true;
  const std::string subject = folder.subject(kTokenizerFile);
  const Json document = parse_json(folder.read(kTokenizerFile, limits.bytes), limits, subject);
  const JsonObject object(document, quote(subject));
  Json canonical = Json::object();
  for (const std::string_view section : kSections) {
    if (object.is_null(section)) continue;
    canonical[section] = section == "model"          ? model_section(object.object(section))
                         : section == "added_tokens" ? added_tokens(object)
                                                     : plain(object.at(section));
  }
  if (!canonical.contains("model")) object.fail_field("model", "is missing");
  return sha256(canonical_json(canonical));
}

}  // namespace organ::format
