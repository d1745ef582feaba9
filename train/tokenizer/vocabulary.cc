// SPDX-License-Identifier: Apache-2.0
// Vocabulary, merges and added tokens of tokenizer.json.
#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>

#include "train/tokenizer/reader.h"

namespace organ::train {
namespace {

std::size_t checked_id(const JsonObject& object, std::string_view token, const Json& id) {
  if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= kMaxTokenizerIds) {
    object.fail_field("vocab", fmt::format("token {}: expected an id below {}, got {}",
                                           quote(token), kMaxTokenizerIds, escape_text(id.dump())));
  }
  return id.get<std::size_t>();
}

std::vector<std::string> read_vocab(const JsonObject& model) {
  const Json& vocab = model.at("vocab");
  if (!vocab.is_object() || vocab.empty()) {
    model.fail_field("vocab", "expected an object with at least one token");
  }
  std::vector<std::string> tokens;
  for (const auto& [token, value] : vocab.items()) {
    const std::size_t id = checked_id(model, token, value);
    if (token.empty()) model.fail_field("vocab", fmt::format("the token of id {} is empty", id));
    if (id >= tokens.size()) tokens.resize(id + 1);
    if (!tokens[id].empty()) {
      model.fail_field("vocab", fmt::format("tokens {} and {} share id {}", quote(tokens[id]),
                                            quote(token), id));
    }
    tokens[id] = token;
  }
  return tokens;
}

[[noreturn]] void fail_merge(const JsonObject& model, std::size_t rank) {
  model.fail_field("merges", fmt::format("merge {}: expected \"a b\" or [\"a\", \"b\"]", rank));
}

std::pair<std::string, std::string> split_merge(const JsonObject& model, const std::string& text,
                                                std::size_t rank) {
  const std::size_t space = text.find(' ');
  if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
    fail_merge(model, rank);
  }
  return {text.substr(0, space), text.substr(space + 1)};
}

std::vector<std::pair<std::string, std::string>> read_merges(const JsonObject& model) {
  const Json& merges = model.at("merges");
  if (!merges.is_array()) model.fail_field("merges", "expected an array");
  std::vector<std::pair<std::string, std::string>> result;
  for (const Json& merge : merges) {
    const std::size_t rank = result.size();
    if (merge.is_string()) {
      const auto& text = merge.get_ref<const std::string&>();
      if (text.starts_with("#version")) continue;  // a line of merges.txt that came along
      result.push_back(split_merge(model, text, rank));
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
               merge[1].is_string()) {
      result.emplace_back(merge[0].get<std::string>(), merge[1].get<std::string>());
    } else {
      fail_merge(model, rank);
    }
    if (result.back().first.empty() || result.back().second.empty()) fail_merge(model, rank);
  }
  return result;
}

AddedToken read_added_token(const JsonObject& object) {
  object.allow_only({"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
  AddedToken token;
  token.id = static_cast<std::int32_t>(object.unsigned_integer("id", kMaxTokenizerIds - 1));
  token.content = object.string("content");
  token.single_word = object.boolean("single_word");
  token.lstrip = object.boolean("lstrip");
  token.rstrip = object.boolean("rstrip");
  token.normalized = object.boolean("normalized");
  token.special = object.boolean("special");
  if (token.content.empty()) object.fail_field("content", "is empty");
  if (token.content.size() > kMaxAddedTokenBytes) {
    refuse_component(object.path(),
                     fmt::format("a content of more than {} bytes", kMaxAddedTokenBytes));
  }
  return token;
}

}  // namespace

BpeConfig read_bpe(const JsonObject& model) {
  // Files from before the field existed hold BPE when they have merges.
  const std::string type =
      model.optional_string("type").value_or(model.has("merges") ? "BPE" : "without type");
  if (type != "BPE") refuse_component(model.path(), "model " + quote(type));
  model.allow_only({"type", "dropout", "unk_token", "continuing_subword_prefix",
                    "end_of_word_suffix", "fuse_unk", "byte_fallback", "ignore_merges", "vocab",
                    "merges"});
  if (model.optional_real("dropout").value_or(0) != 0) {
    refuse_component(model.path(), "dropout");
  }
  BpeConfig config;
  config.tokens = read_vocab(model);
  config.merges = read_merges(model);
  config.unk_token = model.optional_string("unk_token").value_or("");
  config.continuing_subword_prefix =
      model.optional_string("continuing_subword_prefix").value_or("");
  config.end_of_word_suffix = model.optional_string("end_of_word_suffix").value_or("");
  config.fuse_unk = model.optional_boolean("fuse_unk").value_or(false);
  config.byte_fallback = model.optional_boolean("byte_fallback").value_or(false);
  config.ignore_merges = model.optional_boolean("ignore_merges").value_or(false);
  const bool plain = std::ranges::all_of(config.continuing_subword_prefix, [](char c) {
    return static_cast<unsigned char>(c) < 0x80;
  });
  if (!plain) refuse_component(model.path(), "a subword prefix beyond ASCII");
  return config;
}

// `tokenizers` numbers added tokens anew while it reads them: those of the vocabulary keep its id,
// the others go on after it, whatever the file says.
std::vector<AddedToken> read_added_tokens(const JsonObject& document, const Bpe& bpe) {
  std::vector<AddedToken> tokens;
  if (document.is_null("added_tokens")) return tokens;
  std::set<std::string> contents;
  std::int32_t next = static_cast<std::int32_t>(bpe.token_count());
  for (const JsonObject& object : document.objects("added_tokens")) {
    AddedToken token = read_added_token(object);
    if (!contents.insert(token.content).second) {
      object.fail_field("content", quote(token.content) + " is there twice");
    }
    const auto known = bpe.id_of(token.content);
    if (known && *known != token.id) {
      object.fail_field("id", fmt::format("{} has id {} in the vocabulary, got {}",
                                          quote(token.content), *known, token.id));
    }
    if (!known && token.id != next) {
      refuse_component(object.path(),
                       fmt::format("token {} with id {} instead of {}, the next free one,",
                                   quote(token.content), token.id, next));
    }
    if (!known && bpe.has(token.id)) {
      object.fail_field("id",
                        fmt::format("{} is taken by {}", token.id, quote(bpe.token(token.id))));
    }
    next = std::max(next, token.id + 1);
    tokens.push_back(std::move(token));
  }
  return tokens;
}

}  // namespace organ::train
