// SPDX-License-Identifier: Apache-2.0
// The steps from the files of a tokenizer to one document. Comments name what they follow in
// transformers 5.23: `from_pretrained` is PreTrainedTokenizerBase's, `init` TokenizersBackend's.
//
// The order (read_tokenizer_files): the sources, tokenizer_class(), token_settings(),
// tokenizer_stages(), then AddedVocabulary over the model of that document. Where nothing else is
// said a value of another type than transformers takes is corrupt, naming file and field, and what
// transformers would read otherwise than it is read here is incompatible.
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

// Throws incompatible "FILE: WHAT is not supported".
[[noreturn]] void refuse_tokenizer(std::string_view file, std::string_view what,
                                   std::string_view hint = {});

// The files of one folder. Those that every tokenizer may have are parsed; null where absent. Each
// may have 64 MiB, 16,000,000 values and strings of 4 MiB. Throws as ModelFolder does, and corrupt.
struct TokenizerSources {
  explicit TokenizerSources(const std::filesystem::path& path);

  bool has(std::string_view name) const { return folder.has(name); }
  // A JSON file of the folder, of any type. Throws not_found where it is absent.
  Json parse(std::string_view name) const;
  // The lines of a text, as an array of strings without their ends (LF or CRLF); a last line need
  // have none. Throws corrupt for what is no UTF-8.
  Json lines(std::string_view name) const;
  // A document as an object, an empty one for null; throws corrupt for any other type. Borrows it.
  JsonObject object(const Json& json, std::string_view name) const;
  // tokenizer_config.json, an empty object where there is none.
  JsonObject settings() const { return object(settings_json, kTokenizerConfig); }

  ModelFolder folder;
  Json config, settings_json, tokenizer;
  bool byte_level_text = false;  // tokenizer.json holds "ByteLevel" somewhere
};

// The classes of transformers that are read. backend takes every stage from tokenizer.json; each of
// the others builds some of them itself, as the class of that name does.
enum class TokenizerClass { backend, bert, gpt2, llama, qwen2, t5 };

// The class that AutoTokenizer takes: of tokenizer_config.json, else of config.json, else of the
// family; of Qwen2 and Mistral always the family's. A LlamaTokenizer whose tokenizer.json speaks of
// ByteLevel is backend, but for Qwen2. A name may end in "Fast". Throws incompatible naming a
// class, a family or code of its own (auto_map) that is not read here.
TokenizerClass tokenizer_class(const TokenizerSources& sources);

// A token as a setting gives it: a text alone, which is special and has no flags, or an AddedToken
// of `tokenizers`, whose flags these are.
struct TokenSetting {
  std::string content;
  bool single_word = false, lstrip = false, rstrip = false;
  std::optional<bool> normalized;  // unset: where it is not special
  bool special = false;
  bool bare = true;  // a text alone

  bool is_normalized() const { return normalized.value_or(!special); }
};

// By role, before they are joined: one token may stand in several of the lists.
struct TokenSettings {
  std::vector<TokenSetting> decoder;               // `added_tokens_decoder`, by id
  std::map<std::string_view, TokenSetting> named;  // of kTokenNames
  std::vector<TokenSetting> own;                   // under names of the model's own (image_token)
  std::vector<TokenSetting> extra;                 // `extra_special_tokens`
};

// What from_pretrained and init collect before anything is added: the tokens that
// tokenizer_config.json names. Only where it has no `added_tokens_decoder`, special_tokens_map.json
// (whose names override its own), added_tokens.json and the list of tokenizer.json are read too.
// Names that no file gives take the default of the class. Throws corrupt, incompatible.
TokenSettings token_settings(const TokenizerSources& sources, TokenizerClass which);

// The document without what is added: the file as it is, or what the class builds of it. Without
// tokenizer.json it is built of vocab.json and merges.txt (GPT-2, Qwen2) or of vocab.txt (BERT).
// Throws not_found where no file holds a vocabulary.
Json tokenizer_stages(const TokenizerSources& sources, TokenizerClass which,
                      const TokenSettings& tokens);

// `tokenizers`' added vocabulary beside a model. Borrows the model.
class AddedVocabulary {
 public:
  // `model` is that of a tokenizer.json; of one without a `vocab` the vocabulary is empty.
  explicit AddedVocabulary(const Json& model);
  explicit AddedVocabulary(Json&& model) = delete;  // its texts are views

  // The tokens of a tokenizer.json, with the ids it gives them.
  void load(const JsonObject& document);
  // As Tokenizer.add_tokens: a token of the vocabulary keeps its id, another takes the next free
  // one, one that is there already takes the new flags.
  void add(const TokenSetting& token);
  // Of an added token, else of the vocabulary; nullopt for a text that is neither.
  std::optional<std::uint64_t> id_of(std::string_view content) const;
  bool has(std::string_view content) const { return places_.contains(std::string(content)); }

  // In the order in which they came, which need not be that of their ids.
  Json tokens() const;  // as `added_tokens` of a tokenizer.json
  // TokenizerFiles::once_normalized.
  std::set<std::string> once_normalized() const;

 private:
  struct Entry {
    std::uint64_t id;
    TokenSetting token;
    // Ever special; ever looked for in normalised text. Neither is taken back by a later setting.
    bool special, was_normalized;
    Json json;  // as the file gives it, null once it has changed
  };
  // Behind the vocabulary's size and every added id.
  std::uint64_t next_id() const;

  std::unordered_map<std::string_view, std::uint64_t> vocabulary_;
  std::uint64_t vocabulary_size_ = 0;
  std::vector<Entry> entries_;
  std::map<std::string, std::size_t> places_;
};

// A template that puts one token (its text and id) before and one behind the text, as a
// TemplateProcessing of `tokenizers` for one text; absent: none there.
Json template_processor(const std::optional<std::pair<std::string, std::uint64_t>>& before,
                        const std::optional<std::pair<std::string, std::uint64_t>>& after);

}  // namespace organ::format::internal
