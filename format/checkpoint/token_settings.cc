// SPDX-License-Identifier: Apache-2.0
// Special and added tokens: which file names them, and which one counts.
#include <algorithm>
#include <charconv>

#include "format/base/fail.h"
#include "format/checkpoint/internal/tokenizer_parts.h"

namespace organ::format::internal {
namespace {

constexpr std::string_view kAddedFile = "added_tokens.json";
constexpr std::string_view kSpecialFile = "special_tokens_map.json";
constexpr const char* kDecoder = "added_tokens_decoder";
constexpr const char* kExtra = "extra_special_tokens";
constexpr const char* kAdditional = "additional_special_tokens";  // its name of before
constexpr const char* kOwn = "model_specific_special_tokens";
constexpr std::uint64_t kMaxExtraIds = 100'000;

bool is_token_name(std::string_view key) {
  return std::ranges::find(kTokenNames, key) != std::end(kTokenNames);
}

// A name of the model's own. A flag (add_bos_token) is none.
bool is_own_name(std::string_view key, const Json& value) {
  return key.ends_with("_token") && !is_token_name(key) && (value.is_string() || value.is_object());
}

// `tokenizers`' AddedToken from its fields.
TokenSetting added_token(const JsonObject& object) {
  object.allow_only(
      {"__type", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
  const auto flag = [&](const char* key) { return object.optional_boolean(key).value_or(false); };
  return {object.string("content"),
          flag("single_word"),
          flag("lstrip"),
          flag("rstrip"),
          object.optional_boolean("normalized"),
          flag("special"),
          false};
}

TokenSetting bare_token(std::string text) {
  TokenSetting token;
  token.content = std::move(text);
  token.special = true;
  return token;
}

// A text or an object that holds it.
TokenSetting read_token(const JsonObject& object, std::string_view key) {
  if (object.at(key).is_object()) return added_token(object.object(key));
  return bare_token(object.string(key));
}

std::vector<TokenSetting> read_list(const JsonObject& object, const char* key) {
  std::vector<TokenSetting> tokens;
  const Json& list = object.at(key);
  if (!list.is_array()) object.fail_field(key, "expected a list of tokens");
  for (const Json& value : list) {
    if (value.is_string()) {
      tokens.push_back(bare_token(value.get<std::string>()));
    } else if (value.is_object() && value.value("__type", "") == "AddedToken") {
      tokens.push_back(added_token(JsonObject(value, object.path() + ": " + key)));
    } else {
      refuse_tokenizer(object.path(), std::string(key) + " that holds more than texts");
    }
  }
  return tokens;
}

// Collects as from_pretrained fills the arguments of a class.
class Collector {
 public:
  Collector(const TokenizerSources& sources, TokenizerClass which)
      : sources_(sources), settings_(sources.settings()), which_(which) {}

  TokenSettings collect() {
    read_settings();
    if (settings_.has(kDecoder)) {
      read_decoder();
    } else {
      read_special_file();
      read_added_file();
      read_tokenizer_file();
    }
    for (const auto& [id, token] : decoder_) result_.decoder.push_back(token);
    name_tokens();
    set_defaults();
    result_.extra = which_ == TokenizerClass::t5 ? extra_of_t5() : extra_tokens();
    return std::move(result_);
  }

 private:
  // Arguments that the class has not been given stay out of `named_`; null ones are nullopt.
  void take_name(const JsonObject& object, std::string_view key) {
    if (object.is_null(key)) {
      named_[std::string(key)] = std::nullopt;
    } else {
      named_[std::string(key)] = read_token(object, key);
    }
  }

  void take_own(const JsonObject& object, std::string_view key) {
    const TokenSetting token = read_token(object, key);
    const auto same = std::ranges::find(own_names_, key);
    if (same != own_names_.end()) {
      result_.own[static_cast<std::size_t>(same - own_names_.begin())] = token;
    } else {
      own_names_.emplace_back(key);
      result_.own.push_back(token);
    }
  }

  void note(std::uint64_t id, TokenSetting token) {
    known_[token.content] = token;
    decoder_[id] = std::move(token);
  }

  void read_settings() {
    for (const auto& [key, value] : settings_.value().items()) {
      if (is_token_name(key)) take_name(settings_, key);
      if (is_own_name(key, value)) take_own(settings_, key);
    }
    const bool extra = settings_.has(kExtra);
    if (extra && settings_.at(kExtra).is_object()) {
      take_own_table(kExtra);
    } else if (extra) {
      extra_ =
          settings_.is_null(kExtra) ? std::vector<TokenSetting>() : read_list(settings_, kExtra);
    }
    if (!settings_.is_null(kOwn)) take_own_table(kOwn);
    if (!settings_.has(kAdditional)) return;
    if (extra_ && !extra_->empty()) {
      if (which_ == TokenizerClass::t5) {
        refuse_tokenizer(kTokenizerConfig, fmt::format("{} beside {}", kAdditional, kExtra));
      }
      return;
    }
    extra_ = settings_.is_null(kAdditional) ? std::vector<TokenSetting>()
                                            : read_list(settings_, kAdditional);
  }

  void take_own_table(const char* key) {
    const JsonObject table = settings_.object(key);
    for (const auto& [name, value] : table.value().items()) take_own(table, name);
  }

  void read_decoder() {
    const JsonObject table = settings_.object(kDecoder);
    for (const auto& [key, value] : table.value().items()) {
      std::uint64_t id = 0;
      const auto end = std::from_chars(key.data(), key.data() + key.size(), id);
      if (end.ec != std::errc() || end.ptr != key.data() + key.size()) {
        table.fail_field(key, "expected an id");
      }
      note(id, added_token(table.object(key)));
    }
  }

  void read_special_file() {
    if (!sources_.has(kSpecialFile)) return;
    const Json json = sources_.parse(kSpecialFile);
    const JsonObject map = sources_.object(json, kSpecialFile);
    for (const auto& [key, value] : map.value().items()) {
      if (is_token_name(key)) {
        take_name(map, key);
        if (value.is_object()) named_[key]->special = true;
      } else if (is_own_name(key, value)) {
        take_own(map, key);
      }
    }
    if (map.has(kExtra)) {
      if (map.at(kExtra).is_object()) refuse_tokenizer(kSpecialFile, std::string(kExtra));
      std::vector<TokenSetting> extra = extra_.value_or(std::vector<TokenSetting>());
      for (auto& token : read_list(map, kExtra)) extra.push_back(std::move(token));
      extra_ = std::move(extra);
    }
    if (!map.is_null(kAdditional)) additional_ = read_list(map, kAdditional);
  }

  void read_added_file() {
    if (!sources_.has(kAddedFile)) return;
    std::set<std::string> special;
    for (const auto& [name, token] : named_) {
      if (token) special.insert(token->content);
    }
    for (const auto& token : extra_.value_or(std::vector<TokenSetting>())) {
      special.insert(token.content);
    }
    const Json json = sources_.parse(kAddedFile);
    const JsonObject added = sources_.object(json, kAddedFile);
    for (const auto& [content, value] : added.value().items()) {
      TokenSetting token;
      token.content = content;
      token.special = special.contains(content);
      token.normalized = !token.special;
      token.bare = false;
      const std::uint64_t id = added.unsigned_integer(content);
      if (decoder_.contains(id)) refuse_tokenizer(kAddedFile, "two tokens of one id");
      note(id, std::move(token));
    }
  }

  void read_tokenizer_file() {
    if (sources_.tokenizer.is_null()) return;
    const JsonObject document = sources_.object(sources_.tokenizer, kTokenizerFile);
    if (document.is_null("added_tokens")) return;
    for (const JsonObject& object : document.objects("added_tokens")) {
      const auto flag = [&](const char* key) {
        return object.optional_boolean(key).value_or(false);
      };
      note(object.unsigned_integer("id"),
           {object.string("content"), flag("single_word"), flag("lstrip"), flag("rstrip"),
            object.optional_boolean("normalized"), flag("special"), false});
    }
  }

  // Flags of the table of added tokens go before those of the name.
  void name_tokens() {
    for (auto& [name, token] : named_) {
      if (!token) continue;
      if (const auto known = known_.find(token->content); known != known_.end()) {
        token = known->second;
      }
    }
  }

  void set_default(const char* name, const char* text) {
    if (!named_.contains(name)) named_[name] = bare_token(text);
  }

  void set_defaults() {
    if (which_ == TokenizerClass::bert) {
      set_default("unk_token", "[UNK]");
      set_default("sep_token", "[SEP]");
      set_default("pad_token", "[PAD]");
      set_default("cls_token", "[CLS]");
      set_default("mask_token", "[MASK]");
    } else if (which_ == TokenizerClass::gpt2 || which_ == TokenizerClass::qwen2) {
      constexpr const char* kEnd = "<|endoftext|>";
      set_default("unk_token", kEnd);
      set_default("eos_token", kEnd);
      set_default(which_ == TokenizerClass::gpt2 ? "bos_token" : "pad_token", kEnd);
    } else if (which_ == TokenizerClass::llama || which_ == TokenizerClass::t5) {
      set_default("unk_token", "<unk>");
      set_default("eos_token", "</s>");
      if (which_ == TokenizerClass::t5) set_default("pad_token", "<pad>");
      if (which_ == TokenizerClass::llama) set_default("bos_token", "<s>");
    }
    pad_as_the_file_pads();
    for (const std::string_view name : kTokenNames) {
      const auto found = named_.find(std::string(name));
      if (found != named_.end() && found->second) result_.named[name] = *found->second;
    }
  }

  // Classes with no argument of that name take it from the section "padding".
  void pad_as_the_file_pads() {
    if (which_ != TokenizerClass::backend && which_ != TokenizerClass::llama) return;
    if (sources_.tokenizer.is_null() || named_.contains("pad_token")) return;
    const JsonObject document = sources_.object(sources_.tokenizer, kTokenizerFile);
    if (document.is_null("padding")) return;
    set_default("pad_token", document.object("padding").string("pad_token").c_str());
  }

  std::vector<TokenSetting> extra_tokens() const {
    if (extra_) return *extra_;
    return additional_.value_or(std::vector<TokenSetting>());
  }

  // T5Tokenizer names its sentinels itself where nothing else does.
  std::vector<TokenSetting> extra_of_t5() const {
    const std::uint64_t count =
        settings_.has("extra_ids") ? settings_.unsigned_integer("extra_ids", kMaxExtraIds) : 100;
    std::vector<TokenSetting> sentinels;
    for (std::uint64_t i = 0; i < count; ++i) {
      sentinels.push_back(bare_token(fmt::format("<extra_id_{}>", i)));
    }
    if (additional_) {
      const auto named =
          static_cast<std::uint64_t>(std::ranges::count_if(*additional_, [](const auto& t) {
            return t.content.find("<extra_id_") != t.content.npos;
          }));
      if (named > 0 && count > 0 && named != count) {
        refuse_tokenizer(kSpecialFile, fmt::format("{} with {} sentinels instead of {}",
                                                   kAdditional, named, count));
      }
      std::vector<TokenSetting> all = *additional_;
      if (named == 0) all.insert(all.end(), sentinels.begin(), sentinels.end());
      sentinels = std::move(all);
    }
    return extra_ ? *extra_ : sentinels;
  }

  const TokenizerSources& sources_;
  JsonObject settings_;
  TokenizerClass which_;
  TokenSettings result_;
  std::vector<std::string> own_names_;
  std::map<std::string, std::optional<TokenSetting>> named_;
  std::optional<std::vector<TokenSetting>> extra_, additional_;
  std::map<std::uint64_t, TokenSetting> decoder_;
  std::map<std::string, TokenSetting> known_;
};

}  // namespace

TokenSettings token_settings(const TokenizerSources& sources, TokenizerClass which) {
  return Collector(sources, which).collect();
}

}  // namespace organ::format::internal
