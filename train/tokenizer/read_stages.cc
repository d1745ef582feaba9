// SPDX-License-Identifier: Apache-2.0
// Which component of tokenizer.json becomes which stage.
#include <nlohmann/json.hpp>

#include "format/base/base64.h"
#include "format/base/fail.h"
#include "train/tokenizer/internal/reader.h"
#include "train/tokenizer/text/unicode.h"

namespace organ::train {
namespace {

template <typename Make>
auto read_parts(const JsonObject& object, std::string_view key, Make make) {
  std::vector<decltype(make(std::declval<const Json&>(), std::string()))> parts;
  for (const JsonObject& part : object.objects(key)) {
    parts.push_back(make(part.value(), part.path()));
  }
  return parts;
}

// {"String": text} or {"Regex": text}.
Pattern read_pattern(const JsonObject& object) {
  const JsonObject pattern = object.object("pattern");
  pattern.allow_only({"String", "Regex"});
  if (pattern.has("Regex")) return Pattern::regex(pattern.string("Regex"), pattern.path());
  std::string text = pattern.string("String");
  if (text.empty()) refuse_component(pattern.path(), "an empty pattern");
  return Pattern::literal(std::move(text));
}

std::string read_character(const JsonObject& object, std::string_view key) {
  std::string text = object.string(key);
  if (text.empty() || decode_utf8(text, 0).length != text.size()) {
    object.fail_field(key, "expected one character, got " + quote(text));
  }
  return text;
}

SplitBehavior read_behavior(const JsonObject& object) {
  static const std::map<std::string, SplitBehavior> kNames = {
      {"Removed", SplitBehavior::removed},
      {"Isolated", SplitBehavior::isolated},
      {"MergedWithPrevious", SplitBehavior::merged_with_previous},
      {"MergedWithNext", SplitBehavior::merged_with_next},
      {"Contiguous", SplitBehavior::contiguous}};
  const std::string name = object.string("behavior");
  const auto found = kNames.find(name);
  if (found == kNames.end()) refuse_component(object.path(), "behavior " + quote(name));
  return found->second;
}

PrependScheme read_scheme(const JsonObject& object) {
  static const std::map<std::string, PrependScheme> kNames = {{"always", PrependScheme::always},
                                                              {"first", PrependScheme::first},
                                                              {"never", PrependScheme::never}};
  const bool legacy = object.optional_boolean("add_prefix_space").value_or(true);
  const std::string name =
      object.optional_string("prepend_scheme").value_or(legacy ? "always" : "never");
  const auto found = kNames.find(name);
  if (found == kNames.end()) refuse_component(object.path(), "prepend_scheme " + quote(name));
  if (!legacy && found->second != PrependScheme::never) {
    object.fail_field("prepend_scheme", "contradicts add_prefix_space false");
  }
  return found->second;
}

void allow_metaspace_fields(const JsonObject& object) {
  object.allow_only(
      {"type", "replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep"});
}

PreTokenizerPtr read_metaspace(const JsonObject& object) {
  allow_metaspace_fields(object);
  return make_metaspace(read_character(object, "replacement"), read_scheme(object),
                        object.optional_boolean("split").value_or(true));
}

void allow_byte_level_fields(const JsonObject& object) {
  object.allow_only({"type", "add_prefix_space", "trim_offsets", "use_regex"});
}

PreTokenizerPtr read_byte_level(const JsonObject& object) {
  allow_byte_level_fields(object);
  return make_byte_level(object.boolean("add_prefix_space"),
                         object.optional_boolean("use_regex").value_or(true));
}

PreTokenizerPtr read_split(const JsonObject& object) {
  object.allow_only({"type", "pattern", "behavior", "invert"});
  return make_split(read_pattern(object), read_behavior(object), object.boolean("invert"));
}

// Metaspace "first" asks where a piece came from, which is only known while nothing was put in
// front of the text.
PreTokenizerPtr read_pre_tokenizer_sequence(const JsonObject& object) {
  object.allow_only({"type", "pretokenizers"});
  auto parts = read_parts(object, "pretokenizers", read_pre_tokenizer);
  bool prepended = false;
  for (const auto& part : parts) {
    if (prepended && part->asks_for_start()) {
      refuse_component(object.path(), "Metaspace 'first' after another prefix");
    }
    prepended = prepended || part->prepends();
  }
  return make_pre_tokenizer_sequence(std::move(parts));
}

std::vector<std::int32_t> read_special_pair(const JsonObject& object, std::string_view key) {
  const Json& pair = object.at(key);
  if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string() ||
      !pair[1].is_number_unsigned() || pair[1].get<std::uint64_t>() >= kMaxTokenizerIds) {
    object.fail_field(key, "expected [token, id]");
  }
  return {pair[1].get<std::int32_t>()};
}

// The ids of one special token of a template.
std::vector<std::int32_t> read_template_ids(const JsonObject& special_tokens,
                                            const std::string& name) {
  std::vector<std::int32_t> ids;
  for (const std::uint64_t id : special_tokens.object(name).unsigned_integers("ids")) {
    if (id >= kMaxTokenizerIds) special_tokens.fail_field(name, "has an id out of range");
    ids.push_back(static_cast<std::int32_t>(id));
  }
  return ids;
}

Template read_template(const JsonObject& object) {
  object.allow_only({"type", "single", "pair", "special_tokens"});
  const JsonObject special_tokens = object.object("special_tokens");
  Template result;
  bool text_seen = false;
  for (const JsonObject& piece : object.objects("single")) {
    piece.allow_only({"SpecialToken", "Sequence"});
    if (piece.has("Sequence")) {
      if (text_seen || piece.object("Sequence").string("id") != "A") {
        refuse_component(piece.path(), "a template that does not hold the text exactly once");
      }
      text_seen = true;
      continue;
    }
    const std::string name = piece.object("SpecialToken").string("id");
    auto& side = text_seen ? result.after : result.before;
    const auto ids = read_template_ids(special_tokens, name);
    side.insert(side.end(), ids.begin(), ids.end());
  }
  if (!text_seen) refuse_component(object.path(), "a template without the text");
  return result;
}

NormalizerPtr read_bert_normalizer(const JsonObject& object) {
  object.allow_only({"type", "clean_text", "handle_chinese_chars", "strip_accents", "lowercase"});
  BertNormalizerOptions options;
  options.clean_text = object.boolean("clean_text");
  options.handle_chinese_chars = object.boolean("handle_chinese_chars");
  options.lowercase = object.boolean("lowercase");
  options.strip_accents = object.optional_boolean("strip_accents").value_or(options.lowercase);
  return make_bert_normalizer(options, object.path());
}

NormalizerPtr read_precompiled(const JsonObject& object) {
  object.allow_only({"type", "precompiled_charsmap"});
  const auto charsmap = base64_decode(object.string("precompiled_charsmap"));
  if (!charsmap) object.fail_field("precompiled_charsmap", "is not base64");
  return make_precompiled(*charsmap, object.path());
}

}  // namespace

void refuse_component(const std::string& path, std::string_view what) {
  fail(ErrorCode::incompatible, "{}: {} is not supported", path, what);
}

NormalizerPtr read_normalizer(const Json& json, const std::string& path) {
  if (json.is_null()) return nullptr;
  const JsonObject object(json, path);
  const std::string type = object.string("type");
  static const std::map<std::string, NormalForm> kForms = {{"NFC", NormalForm::nfc},
                                                           {"NFD", NormalForm::nfd},
                                                           {"NFKC", NormalForm::nfkc},
                                                           {"NFKD", NormalForm::nfkd}};
  if (const auto form = kForms.find(type); form != kForms.end()) {
    object.allow_only({"type"});
    return make_normal_form(form->second, path);
  }
  if (type == "Sequence") {
    object.allow_only({"type", "normalizers"});
    return make_sequence(read_parts(object, "normalizers", read_normalizer));
  }
  if (type == "Prepend") {
    object.allow_only({"type", "prepend"});
    return make_prepend(object.string("prepend"));
  }
  if (type == "Replace") {
    object.allow_only({"type", "pattern", "content"});
    return make_replace(read_pattern(object), object.string("content"));
  }
  if (type == "Lowercase") {
    object.allow_only({"type"});
    return make_lowercase();
  }
  if (type == "Strip") {
    object.allow_only({"type", "strip_left", "strip_right"});
    return make_strip(object.boolean("strip_left"), object.boolean("strip_right"));
  }
  if (type == "StripAccents") {
    object.allow_only({"type"});
    return make_strip_accents();
  }
  if (type == "BertNormalizer") return read_bert_normalizer(object);
  if (type == "Precompiled") return read_precompiled(object);
  refuse_component(path, "normalizer " + quote(type));
}

PreTokenizerPtr read_pre_tokenizer(const Json& json, const std::string& path) {
  if (json.is_null()) return nullptr;
  const JsonObject object(json, path);
  const std::string type = object.string("type");
  if (type == "Sequence") return read_pre_tokenizer_sequence(object);
  if (type == "ByteLevel") return read_byte_level(object);
  if (type == "Split") return read_split(object);
  if (type == "Metaspace") return read_metaspace(object);
  if (type == "Digits") {
    object.allow_only({"type", "individual_digits"});
    return make_digits(object.boolean("individual_digits"));
  }
  if (type == "Punctuation") {
    object.allow_only({"type", "behavior"});
    return make_punctuation(object.has("behavior") ? read_behavior(object)
                                                   : SplitBehavior::isolated);
  }
  if (type == "Whitespace" || type == "WhitespaceSplit") {
    object.allow_only({"type"});
    return type == "Whitespace" ? make_whitespace() : make_whitespace_split();
  }
  if (type == "BertPreTokenizer") {
    object.allow_only({"type"});
    std::vector<PreTokenizerPtr> parts;
    parts.push_back(make_whitespace_split());
    parts.push_back(make_punctuation(SplitBehavior::isolated));
    return make_pre_tokenizer_sequence(std::move(parts));
  }
  if (type == "CharDelimiterSplit") {
    object.allow_only({"type", "delimiter"});
    return make_split(Pattern::literal(read_character(object, "delimiter")), SplitBehavior::removed,
                      false);
  }
  refuse_component(path, "pre-tokenizer " + quote(type));
}

DecoderPtr read_decoder(const Json& json, const std::string& path) {
  if (json.is_null()) return nullptr;
  const JsonObject object(json, path);
  const std::string type = object.string("type");
  if (type == "Sequence") {
    object.allow_only({"type", "decoders"});
    return make_decoder_sequence(read_parts(object, "decoders", read_decoder));
  }
  if (type == "ByteLevel") {
    allow_byte_level_fields(object);
    return make_byte_level_decoder();
  }
  if (type == "ByteFallback" || type == "Fuse") {
    object.allow_only({"type"});
    return type == "Fuse" ? make_fuse_decoder() : make_byte_fallback_decoder();
  }
  if (type == "Replace") {
    object.allow_only({"type", "pattern", "content"});
    return make_replace_decoder(read_pattern(object), object.string("content"));
  }
  if (type == "Strip") {
    object.allow_only({"type", "content", "start", "stop"});
    return make_strip_decoder(read_character(object, "content"),
                              object.unsigned_integer("start", UINT32_MAX),
                              object.unsigned_integer("stop", UINT32_MAX));
  }
  if (type == "WordPiece") {
    object.allow_only({"type", "prefix", "cleanup"});
    return make_wordpiece_decoder(object.string("prefix"), object.boolean("cleanup"));
  }
  if (type == "Metaspace") {
    allow_metaspace_fields(object);
    return make_metaspace_decoder(read_character(object, "replacement"), read_scheme(object));
  }
  refuse_component(path, "decoder " + quote(type));
}

Template read_post_processor(const Json& json, const std::string& path) {
  if (json.is_null()) return {};
  const JsonObject object(json, path);
  const std::string type = object.string("type");
  if (type == "TemplateProcessing") return read_template(object);
  if (type == "ByteLevel") {
    allow_byte_level_fields(object);  // moves offsets only, which nobody asks for
    return {};
  }
  if (type == "BertProcessing" || type == "RobertaProcessing") {
    object.allow_only({"type", "sep", "cls", "trim_offsets", "add_prefix_space"});
    return {read_special_pair(object, "cls"), read_special_pair(object, "sep")};
  }
  if (type != "Sequence") refuse_component(path, "post-processor " + quote(type));
  object.allow_only({"type", "processors"});
  Template result;
  for (const auto& [before, after] : read_parts(object, "processors", read_post_processor)) {
    result.before.insert(result.before.begin(), before.begin(), before.end());
    result.after.insert(result.after.end(), after.begin(), after.end());
  }
  return result;
}

}  // namespace organ::train
