// SPDX-License-Identifier: Apache-2.0
// What each class of tokenizer builds (models/*/tokenization_*.py of transformers 5.23).
#include "format/base/fail.h"
#include "format/checkpoint/internal/tokenizer_parts.h"

namespace organ::format::internal {
namespace {

constexpr const char* kMeta = "▁";  // sentencepiece's space
// Of Qwen2Tokenizer.
constexpr const char* kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";

Json byte_level(bool add_prefix_space, bool use_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", add_prefix_space},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}

Json metaspace(const char* scheme, bool split) {
  return {
      {"type", "Metaspace"}, {"replacement", kMeta}, {"prepend_scheme", scheme}, {"split", split}};
}

Json sequence(const char* parts, Json list) {
  return {{"type", "Sequence"}, {parts, std::move(list)}};
}

// Offsets are nobody's business here.
Json without_offsets(Json value) {
  if (value.is_object()) value.erase("trim_offsets");
  if (value.is_structured()) {
    for (Json& part : value) part = without_offsets(std::move(part));
  }
  return value;
}

// Builds on the file, of which it keeps the spelling where it means the same.
class Builder {
 public:
  Builder(const TokenizerSources& sources, const TokenSettings& tokens)
      : sources_(sources), settings_(sources.settings()), tokens_(tokens) {}

  Json build(TokenizerClass which) {
    document_ = sources_.tokenizer.is_null() ? Json::object() : sources_.tokenizer;
    if (!document_.is_object()) sources_.object(document_, kTokenizerFile);  // says what is wrong
    if (which == TokenizerClass::backend && sources_.tokenizer.is_null()) refuse_pair();
    if (which != TokenizerClass::backend) document_["added_tokens"] = Json::array();
    if (which == TokenizerClass::bert) build_bert();
    if (which == TokenizerClass::gpt2) build_gpt2();
    if (which == TokenizerClass::llama) build_llama();
    if (which == TokenizerClass::qwen2) build_qwen2();
    if (which == TokenizerClass::t5) build_t5();
    return std::move(document_);
  }

 private:
  [[noreturn]] void refuse_pair() const {
    if (sources_.has("vocab.json") || sources_.has("vocab.txt")) {
      refuse_tokenizer(kTokenizerConfig,
                       "a vocabulary without tokenizer.json and without tokenizer_class");
    }
    fail_missing("tokenizer.json");
  }

  [[noreturn]] void fail_missing(std::string_view files) const {
    const bool other = sources_.has("tokenizer.model") || sources_.has("tekken.json");
    throw Error(
        ErrorCode::not_found,
        fmt::format("{}: holds no {}", quote(sources_.folder.folder().string()), files),
        other ? "tokenizer.model and tekken.json are not read; of transformers, "
                "AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR) writes tokenizer.json"
              : "");
  }

  bool flag(const char* key, bool standard) const {
    return settings_.optional_boolean(key).value_or(standard);
  }

  void set(const char* stage, Json value) {
    if (document_.contains(stage) && without_offsets(document_[stage]) == without_offsets(value)) {
      return;
    }
    document_[stage] = std::move(value);
  }

  // A member of the model that the class sets, whatever the file says.
  void set_in_model(const char* key, const Json& value, const Json& standard) {
    Json& model = document_["model"];
    const Json now = model.contains(key) && !model[key].is_null() ? model[key] : standard;
    if (now != value) model[key] = value;
  }

  JsonObject model() const { return sources_.object(document_, kTokenizerFile).object("model"); }

  // The model of the file, of the type that the class takes.
  void take_model(const char* type, const char* pair) {
    if (sources_.tokenizer.is_null()) return read_pair(pair);
    const JsonObject model = this->model();
    const std::string named =
        model.optional_string("type").value_or(model.has("merges") ? "BPE" : "without type");
    if (named != type) {
      refuse_tokenizer(kTokenizerFile,
                       fmt::format("model {} for a class that takes {}", quote(named), type));
    }
  }

  void read_pair(std::string_view pair) {
    if (pair == "vocab.json" && sources_.has("vocab.json") && sources_.has("merges.txt")) {
      document_["model"] = {{"type", "BPE"},
                            {"vocab", sources_.parse("vocab.json")},
                            {"merges", sources_.lines("merges.txt")}};
    } else if (pair == "vocab.txt" && sources_.has("vocab.txt")) {
      document_["model"] = {{"type", "WordPiece"}, {"vocab", vocabulary_of_lines()}};
    } else {
      fail_missing(pair == "vocab.json"  ? "tokenizer.json, nor both vocab.json and merges.txt"
                   : pair == "vocab.txt" ? "tokenizer.json, nor vocab.txt"
                                         : "tokenizer.json");
    }
    document_["post_processor"] = nullptr;
  }

  Json vocabulary_of_lines() const {
    Json vocabulary = Json::object();
    std::uint64_t id = 0;
    for (const Json& line : sources_.lines("vocab.txt")) {
      std::string token = line.get<std::string>();
      token.erase(token.find_last_not_of(" \t\n\v\f\r") + 1);
      vocabulary[token] = id++;
    }
    return vocabulary;
  }

  void set_bpe(bool fuse_unk, bool byte_fallback) {
    set_in_model("unk_token", nullptr, nullptr);
    set_in_model("continuing_subword_prefix", "", "");
    set_in_model("end_of_word_suffix", "", "");
    set_in_model("fuse_unk", fuse_unk, false);
    set_in_model("byte_fallback", byte_fallback, false);
    set_in_model("ignore_merges", false, false);
    set_in_model("dropout", nullptr, nullptr);
    if (model().is_null("merges")) document_["model"]["merges"] = Json::array();
  }

  std::string token_text(const char* name) const {
    const auto found = tokens_.named.find(name);
    if (found == tokens_.named.end() || found->second.content.empty()) {
      refuse_tokenizer(kTokenizerConfig, fmt::format("a class that needs a {}, with none", name));
    }
    return found->second.content;
  }

  void build_bert() {
    take_model("WordPiece", "vocab.txt");
    set_in_model("unk_token", token_text("unk_token"), nullptr);
    set_in_model("continuing_subword_prefix", "##", nullptr);
    set_in_model("max_input_chars_per_word", 100, nullptr);
    const auto accents = settings_.optional_boolean("strip_accents");
    set("normalizer", {{"type", "BertNormalizer"},
                       {"clean_text", true},
                       {"handle_chinese_chars", flag("tokenize_chinese_chars", true)},
                       {"strip_accents", accents ? Json(*accents) : Json()},
                       {"lowercase", flag("do_lower_case", true)}});
    set("pre_tokenizer", {{"type", "BertPreTokenizer"}});
    set("decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}});
    token_text("cls_token"), token_text("sep_token");
  }

  void build_gpt2() {
    take_model("BPE", "vocab.json");
    set_bpe(false, false);
    set("normalizer", nullptr);
    set("pre_tokenizer", byte_level(flag("add_prefix_space", false), true));
    set("decoder", byte_level(true, true));
  }

  void build_qwen2() {
    take_model("BPE", "vocab.json");
    set_bpe(false, false);
    set("normalizer", {{"type", "NFC"}});
    set("pre_tokenizer",
        sequence("pretokenizers", {{{"type", "Split"},
                                    {"pattern", {{"Regex", kQwen2Pattern}}},
                                    {"behavior", "Isolated"},
                                    {"invert", false}},
                                   byte_level(flag("add_prefix_space", false), false)}));
    set("decoder", byte_level(true, true));
  }

  void build_llama() {
    take_model("BPE", "");
    set_bpe(true, true);
    const bool prefix = flag("add_prefix_space", true);
    set("normalizer", nullptr);
    set("pre_tokenizer", metaspace(!prefix                 ? "never"
                                   : flag("legacy", false) ? "always"
                                                           : "first",
                                   false));
    Json decoders = {{{"type", "Replace"}, {"pattern", {{"String", kMeta}}}, {"content", " "}},
                     {{"type", "ByteFallback"}},
                     {{"type", "Fuse"}}};
    if (prefix) {
      decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
    }
    set("decoder", sequence("decoders", std::move(decoders)));
  }

  void build_t5() {
    take_model("Unigram", "");
    set_in_model("unk_id", 2, nullptr);
    set_in_model("byte_fallback", false, false);
    set("normalizer", character_map());
    set("pre_tokenizer",
        sequence("pretokenizers", {{{"type", "WhitespaceSplit"}}, metaspace("always", true)}));
    set("decoder", metaspace("always", true));
    token_text("eos_token");
  }

  // The first character map of the file's normaliser: all that the class keeps of it.
  Json character_map() const {
    const JsonObject document = sources_.object(sources_.tokenizer, kTokenizerFile);
    if (document.is_null("normalizer")) return nullptr;
    const JsonObject normalizer = document.object("normalizer");
    if (normalizer.string("type") == "Precompiled") return normalizer.value();
    if (normalizer.string("type") != "Sequence") return nullptr;
    for (const JsonObject& part : normalizer.objects("normalizers")) {
      if (part.string("type") == "Precompiled") return part.value();
    }
    return nullptr;
  }

  const TokenizerSources& sources_;
  JsonObject settings_;
  const TokenSettings& tokens_;
  Json document_;
};

}  // namespace

Json template_processor(const std::optional<std::pair<std::string, std::uint64_t>>& before,
                        const std::optional<std::pair<std::string, std::uint64_t>>& after) {
  Json single = Json::array(), tokens = Json::object();
  const auto put = [&](const std::pair<std::string, std::uint64_t>& token) {
    const auto& [content, id] = token;
    single.push_back({{"SpecialToken", {{"id", content}, {"type_id", 0}}}});
    tokens[content] = {{"id", content}, {"ids", {id}}, {"tokens", {content}}};
  };
  if (before) put(*before);
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  if (after) put(*after);
  return {{"type", "TemplateProcessing"},
          {"single", std::move(single)},
          {"special_tokens", std::move(tokens)}};
}

Json tokenizer_stages(const TokenizerSources& sources, TokenizerClass which,
                      const TokenSettings& tokens) {
  return Builder(sources, tokens).build(which);
}

}  // namespace organ::format::internal
