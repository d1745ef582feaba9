// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "format/checkpoint/internal/tokenizer_parts.h"

namespace organ::format::internal {
namespace {

bool same(const TokenSetting& a, const TokenSetting& b) {
  return a.single_word == b.single_word && a.lstrip == b.lstrip && a.rstrip == b.rstrip &&
         a.is_normalized() == b.is_normalized() && a.special == b.special;
}

Json to_json(std::uint64_t id, const TokenSetting& token, bool special) {
  return {{"id", id},
          {"content", token.content},
          {"single_word", token.single_word},
          {"lstrip", token.lstrip},
          {"rstrip", token.rstrip},
          {"normalized", token.is_normalized()},
          {"special", special}};
}

}  // namespace

// What is no id here is refused by whoever reads the model.
AddedVocabulary::AddedVocabulary(const Json& model) {
  if (!model.is_object() || !model.contains("vocab")) return;
  const Json& vocab = model["vocab"];
  vocabulary_.reserve(vocab.size());
  if (vocab.is_object()) {
    for (auto entry = vocab.begin(); entry != vocab.end(); ++entry) {
      if (entry->is_number_unsigned()) {
        vocabulary_.emplace(entry.key(), entry->get<std::uint64_t>());
      }
    }
    vocabulary_size_ = vocabulary_.size();
  } else if (vocab.is_array()) {
    for (const Json& entry : vocab) {
      const std::uint64_t id = vocabulary_size_++;
      if (entry.is_array() && !entry.empty() && entry[0].is_string()) {
        vocabulary_[entry[0].get_ref<const std::string&>()] = id;
      }
    }
  }
}

void AddedVocabulary::load(const JsonObject& document) {
  if (document.is_null("added_tokens")) return;
  for (const JsonObject& object : document.objects("added_tokens")) {
    const auto flag = [&](const char* key) { return object.optional_boolean(key).value_or(false); };
    const std::uint64_t id = object.unsigned_integer("id");
    TokenSetting token{object.string("content"),
                       flag("single_word"),
                       flag("lstrip"),
                       flag("rstrip"),
                       object.optional_boolean("normalized"),
                       flag("special"),
                       false};
    places_.emplace(token.content, entries_.size());
    const bool special = token.special, normalized = token.is_normalized();
    entries_.push_back({id, std::move(token), special, normalized, object.value()});
  }
}

std::uint64_t AddedVocabulary::next_id() const {
  std::uint64_t next = vocabulary_size_;
  for (const Entry& entry : entries_) next = std::max(next, entry.id + 1);
  return next;
}

void AddedVocabulary::add(const TokenSetting& token) {
  if (token.content.empty()) return;
  const auto place = places_.find(token.content);
  if (place == places_.end()) {
    const auto known = vocabulary_.find(token.content);
    const std::uint64_t id = known == vocabulary_.end() ? next_id() : known->second;
    places_.emplace(token.content, entries_.size());
    entries_.push_back({id, token, token.special, token.is_normalized(), nullptr});
    return;
  }
  Entry& entry = entries_[place->second];
  if (same(entry.token, token)) return;
  entry.token = token;
  entry.special = entry.special || token.special;
  entry.was_normalized = entry.was_normalized || token.is_normalized();
  entry.json = nullptr;
}

std::optional<std::uint64_t> AddedVocabulary::id_of(std::string_view content) const {
  if (const auto place = places_.find(std::string(content)); place != places_.end()) {
    return entries_[place->second].id;
  }
  const auto known = vocabulary_.find(content);
  return known == vocabulary_.end() ? std::nullopt : std::optional(known->second);
}

Json AddedVocabulary::tokens() const {
  Json list = Json::array();
  for (const Entry& entry : entries_) {
    list.push_back(entry.json.is_null() ? to_json(entry.id, entry.token, entry.special)
                                        : entry.json);
  }
  return list;
}

std::set<std::string> AddedVocabulary::once_normalized() const {
  std::set<std::string> contents;
  for (const Entry& entry : entries_) {
    if (entry.was_normalized && !entry.token.is_normalized()) contents.insert(entry.token.content);
  }
  return contents;
}

}  // namespace organ::format::internal
