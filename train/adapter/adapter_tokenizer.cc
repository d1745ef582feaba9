// SPDX-License-Identifier: Apache-2.0
#include "train/adapter/adapter_tokenizer.h"

#include <map>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/checkpoint/tokenizer_files.h"

namespace organ::train {
namespace {

using Ids = std::map<std::string, std::uint64_t>;

// The reader of the files has checked them.
Ids ids_of(const Json& document) {
  Ids ids;
  if (const auto model = document.find("model"); model != document.end()) {
    const auto vocabulary = model->find("vocab");
    if (vocabulary != model->end() && vocabulary->is_object()) {
      for (const auto& [token, id] : vocabulary->items()) {
        if (id.is_number_unsigned()) ids.emplace(token, id.get<std::uint64_t>());
      }
    } else if (vocabulary != model->end() && vocabulary->is_array()) {  // Unigram: in their order
      for (std::size_t i = 0; i < vocabulary->size(); ++i) {
        const Json& entry = vocabulary->at(i);
        if (entry.is_array() && !entry.empty() && entry[0].is_string()) {
          ids[entry[0].get<std::string>()] = i;  // the last counts, as in the reader
        }
      }
    }
  }
  const auto added = document.find("added_tokens");
  if (added == document.end() || !added->is_array()) return ids;
  for (const Json& token : *added) {
    ids[token.at("content").get<std::string>()] = token.at("id").get<std::uint64_t>();
  }
  return ids;
}

std::optional<Ids> read_ids(const std::filesystem::path& folder) {
  try {
    return ids_of(*format::read_tokenizer_files(folder).document);
  } catch (const Error& error) {
    const bool unread =
        error.code() == ErrorCode::not_found || error.code() == ErrorCode::incompatible;
    if (!unread) throw;
    return std::nullopt;
  }
}

}  // namespace

std::optional<std::string> compare_tokenizers(const format::Checkpoint& checkpoint,
                                              const std::filesystem::path& adapter) {
  const auto theirs = format::tokenizer_digest(adapter);
  if (!theirs || theirs == checkpoint.own_tokenizer_digest()) return std::nullopt;
  const auto ours_by_token = read_ids(checkpoint.folder()), by_token = read_ids(adapter);
  if (ours_by_token && by_token) {
    for (const auto& [token, id] : *by_token) {
      const auto ours = ours_by_token->find(token);
      if (ours == ours_by_token->end() || ours->second == id) continue;
      throw Error(ErrorCode::incompatible,
                  fmt::format("{}: its tokenizer gives {} the id {}, the model's gives {}",
                              quote(adapter.string()), quote(token), id, ours->second),
                  "put the tokenizer that the adapter was trained with into the model's folder, or "
                  "take its files out of the adapter's");
    }
  }
  return fmt::format(
      "{}: holds a tokenizer of its own, which differs from the model's; the model's is used",
      quote(adapter.string()));
}

}  // namespace organ::train
