// SPDX-License-Identifier: Apache-2.0
// The steps from the files of a tokenizer to one document. Comments name what they follow in
// transformers 5.23: `from_pretrained` is PreTrainedTokenizerBase's, `init` TokenizersBackend's.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "format/base/json.h"
#include "format/checkpoint/internal/checkpoint_files.h"

namespace organ::format::internal {

inline constexpr std::string_view kTokenizerFile = "tokenizer.json";
inline constexpr std::string_view kTokenizerConfig = "tokenizer_config.json";

// The attributes that transformers gives a token, in its order.
inline constexpr std::string_view kTokenNames[] = {
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};

[[noreturn]] void refuse_tokenizer(std::string_view file, std::string_view what,
                                   std::string_view hint = {});

// The files of one folder. Those that every tokenizer may have are parsed; null where absent.
struct TokenizerSources {
  explicit TokenizerSources(const std::filesystem::path& path);

  bool has(std::string_view name) const { return folder.has(name); }
  Json parse(std::string_view name) const;
  // The lines of a text, as an array.
  Json lines(std::string_view name) const;
  JsonObject object(const Json& json, std::string_view name) const;
  // tokenizer_config.json, an empty object where there is none.
  JsonObject settings() const { return object(settings_json, kTokenizerConfig); }

  ModelFolder folder;
  Json config, settings_json, tokenizer;
  bool byte_level_text = false;  // tokenizer.json holds "ByteLevel" somewhere
};

enum class TokenizerClass { backend, bert, gpt2, llama, qwen2, t5 };

// The class that AutoTokenizer takes. Throws incompatible naming a class that is not known here.
TokenizerClass tokenizer_class(const TokenizerSources& sources);

// A token as a setting gives it.
struct TokenSetting {
  std::string content;
  bool single_word = false, lstrip = false, rstrip = false;
  std::optional<bool> normalized;  // unset: where it is not special
  bool special = false;
  bool bare = true;  // a text alone

  bool is_normalized() const { return normalized.value_or(!special); }
};

struct TokenSettings {
  std::vector<TokenSetting> decoder;               // `added_tokens_decoder`, by id
  std::map<std::string_view, TokenSetting> named;  // of kTokenNames
  std::vector<TokenSetting> own;                   // under names of the model's own (image_token)
  std::vector<TokenSetting> extra;                 // `extra_special_tokens`
};

// What from_pretrained and init collect before anything is added. Throws corrupt, incompatible.
TokenSettings token_settings(const TokenizerSources& sources, TokenizerClass which);

// The document without what is added: the file as it is, or what the class builds of it.
Json tokenizer_stages(const TokenizerSources& sources, TokenizerClass which,
                      const TokenSettings& tokens);

// `tokenizers`' added vocabulary beside a model. Borrows the model.
class AddedVocabulary {
 public:
  explicit AddedVocabulary(const Json& model);
  explicit AddedVocabulary(Json&& model) = delete;  // its texts are views

  // The tokens of a tokenizer.json, with the ids it gives them.
  void load(const JsonObject& document);
  // As Tokenizer.add_tokens: a token of the vocabulary keeps its id, another takes the next free
  // one, one that is there already takes the new flags.
  void add(const TokenSetting& token);
  std::optional<std::uint64_t> id_of(std::string_view content) const;
  bool has(std::string_view content) const { return places_.contains(std::string(content)); }

  Json tokens() const;  // as `added_tokens` of a tokenizer.json
  std::set<std::string> once_normalized() const;

 private:
  struct Entry {
    std::uint64_t id;
    TokenSetting token;
    bool special, was_normalized;
    Json json;  // as the file gives it, null once it has changed
  };
  std::uint64_t next_id() const;

  std::unordered_map<std::string_view, std::uint64_t> vocabulary_;
  std::uint64_t vocabulary_size_ = 0;
  std::vector<Entry> entries_;
  std::map<std::string, std::size_t> places_;
};

// A template that puts one token before and one behind the text.
Json template_processor(const std::optional<std::pair<std::string, std::uint64_t>>& before,
                        const std::optional<std::pair<std::string, std::uint64_t>>& after);

}  // namespace organ::format::internal
