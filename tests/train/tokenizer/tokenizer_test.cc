// SPDX-License-Identifier: Apache-2.0
#include "train/tokenizer/tokenizer.h"

#include <fstream>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "format/base/json.h"
#include "tests/support/support.h"

using organ::Json;
using organ::test::error_of;
using organ::train::Tokenizer;

namespace {

Json load(const std::string& name) {
  const auto path = std::filesystem::path(ORGAN_TOKENIZER_DATA) / name;
  return organ::parse_json(organ::read_file(path, 1 << 20), {}, name);
}

Tokenizer open_text(const std::string& text) {
  const auto folder = organ::test::scratch();
  std::ofstream(folder.path() / "tokenizer.json") << text;
  return Tokenizer::open(folder.path());
}

// The error of the byte-level fixture after `edit`.
template <typename Edit>
std::string error_after(Edit edit) {
  Json document = load("byte_level.json");
  edit(document);
  return error_of([&] { open_text(document.dump()); });
}

bool has(const std::string& message, std::string_view part) {
  return message.find(part) != std::string::npos;
}

std::vector<std::int32_t> ids_of(const Json& value) {
  return value.get<std::vector<std::int32_t>>();
}

void check_cases(const std::string& name) {
  const auto path = std::filesystem::path(ORGAN_TOKENIZER_DATA) / (name + ".json");
  const Tokenizer tokenizer = Tokenizer::open(path);
  const Json cases = load(name + ".cases.json");
  REQUIRE(cases.size() > 10);
  for (const Json& entry : cases) {
    const auto text = entry["text"].get<std::string>();
    CAPTURE(text);
    const auto ids = tokenizer.encode(text, false);
    CHECK(ids == ids_of(entry["ids"]));
    CHECK(tokenizer.encode(text, true) == ids_of(entry["with_special"]));
    CHECK(tokenizer.decode(ids) == entry["decoded"].get<std::string>());
  }
}

std::vector<std::int32_t> split_ids(const Tokenizer& tokenizer, const std::string& text) {
  return tokenizer.encode(text, false);
}

}  // namespace

TEST_CASE("a byte-level tokenizer gives the ids and texts of the tokenizers package") {
  check_cases("byte_level");
}

TEST_CASE("a Llama-like tokenizer gives the ids and texts of the tokenizers package") {
  check_cases("llama_like");
}

TEST_CASE("GPT-2's pair of files is read as byte-level BPE with one special token") {
  const auto folder = organ::test::scratch();
  std::ofstream(folder.path() / "vocab.json")
      << R"({"a":0,"b":1,"ab":2,"Ġ":3,"Ġab":4,"<|endoftext|>":5})";
  std::ofstream(folder.path() / "merges.txt") << "#version: 0.2\na b\nĠ ab\n";
  const Tokenizer tokenizer = Tokenizer::open(folder.path());
  CHECK(tokenizer.encode("ab ab<|endoftext|>", false) == std::vector<std::int32_t>{2, 4, 5});
  CHECK(tokenizer.decode(std::vector<std::int32_t>{2, 4, 5}) == "ab ab<|endoftext|>");
  CHECK(tokenizer.decode(std::vector<std::int32_t>{2, 4, 5}, true) == "ab ab");
  CHECK(tokenizer.vocab_size() == 6);
}

TEST_CASE("the names of special tokens come from tokenizer_config.json") {
  const auto folder = organ::test::scratch();
  std::ofstream(folder.path() / "tokenizer.json") << load("llama_like.json").dump();
  std::ofstream(folder.path() / "tokenizer_config.json")
      << R"({"bos_token":"<s>","eos_token":{"content":"</s>"},"pad_token":null})";
  const Tokenizer tokenizer = Tokenizer::open(folder.path());
  CHECK(tokenizer.bos() == 1);
  CHECK(tokenizer.eos() == 2);
  CHECK(tokenizer.unk() == 0);
  CHECK_FALSE(tokenizer.pad().has_value());
  CHECK(tokenizer.token_to_id("</s>") == 2);
  CHECK(tokenizer.id_to_token(1) == "<s>");
}

TEST_CASE("invalid UTF-8 is refused with its byte offset") {
  const Tokenizer tokenizer = open_text(load("byte_level.json").dump());
  const std::pair<std::string, std::string> cases[] = {
      {"ab\xC3", "byte 2"},        {"\xC0\xAF", "byte 0"},
      {"a\xED\xA0\x80", "byte 1"}, {"abc\xF4\x90\x80\x80", "byte 3"},
      {"\xE2\x82", "byte 0"},      {"a\xFF", "byte 1"}};
  for (const auto& [text, where] : cases) {
    const std::string error = error_of([&] { tokenizer.encode(text, false); });
    CHECK(has(error, "invalid_argument: text: " + where + " is not valid UTF-8"));
  }
}

TEST_CASE("an id that names no token is refused with its position") {
  const Tokenizer tokenizer = open_text(load("byte_level.json").dump());
  for (const std::int32_t id : {-1, 1 << 22, INT32_MAX}) {
    const std::vector<std::int32_t> ids = {1, 2, id};
    const std::string error = error_of([&] { tokenizer.decode(ids); });
    CHECK(has(error, "invalid_argument: ids: position 2: id " + std::to_string(id)));
  }
}

TEST_CASE("broken byte sequences decode to replacement characters") {
  const Tokenizer tokenizer = open_text(load("byte_level.json").dump());
  const std::vector<std::int32_t> first = {tokenizer.encode("é", false).front()};
  CHECK(tokenizer.decode(first) == "\uFFFD");
}

TEST_CASE("components that are not known are refused by name") {
  const std::pair<const char*, std::string> parts[] = {{"normalizer", "BertNormalizer"},
                                                       {"normalizer", "Precompiled"},
                                                       {"pre_tokenizer", "UnicodeScripts"},
                                                       {"pre_tokenizer", "BertPreTokenizer"},
                                                       {"post_processor", "BertProcessing"},
                                                       {"decoder", "WordPiece"},
                                                       {"decoder", "CTC"}};
  for (const auto& [part, type] : parts) {
    const std::string error = error_after([&](Json& json) { json[part] = {{"type", type}}; });
    CHECK(has(error, "incompatible: tokenizer.json: " + std::string(part)));
    CHECK(has(error, "'" + type + "' is not supported"));
  }
  for (const char* type : {"Unigram", "WordPiece", "WordLevel"}) {
    const std::string error = error_after([&](Json& json) { json["model"]["type"] = type; });
    CHECK(has(error, "incompatible"));
    CHECK(has(error, "model '" + std::string(type) + "'"));
  }
  const std::string dropout = error_after([](Json& json) { json["model"]["dropout"] = 0.1; });
  CHECK(has(dropout, "incompatible"));
  CHECK(has(dropout, "dropout is not supported"));
}

TEST_CASE("regex constructs that Oniguruma and PCRE2 read differently are refused by name") {
  const std::pair<const char*, const char*> patterns[] = {
      {R"(\w+)", "escape '\\w' at byte 2"},
      {R"(\b)", "escape '\\b'"},
      {"[a[bc]]", "a nested class"},
      {"[a&&b]", "an intersection"},
      {R"(\xE9)", "a raw byte"},
      {R"(\p{Greek})", "property 'Greek'"},
      {"(?i:ss)", "its own case folding"},
      {"(?i:é)", "beyond ASCII"},
      {"(?<name>a)", "this kind of group"},
      {"a{2}+", "quantifier after a quantifier"},
      {R"((a)\1)", "escape '\\1'"},
      {"(a", "an open group"},
      {"a*", "can match the empty string"},
      {"a)", "a ')' too many"},
      {"[a", "an open class"},
      {"*a", "quantifier without operand"},
      {"a\\", "an end after a backslash"},
      {"(?i:[a-z])", "a set in a caseless group"}};
  for (const auto& [pattern, reason] : patterns) {
    CAPTURE(pattern);
    const std::string error = error_after([&](Json& json) {
      json["pre_tokenizer"] = {{"type", "Split"},
                               {"pattern", {{"Regex", pattern}}},
                               {"behavior", "Isolated"},
                               {"invert", false}};
    });
    CHECK(has(error, "incompatible: tokenizer.json: pre_tokenizer"));
    CHECK_MESSAGE(has(error, reason), error);
  }
}

TEST_CASE("a tokenizer.json that contradicts itself is corrupt with the reason") {
  using Edit = void (*)(Json&);
  const std::pair<Edit, const char*> edits[] = {
      {[](Json& j) {
         j["model"]["merges"].push_back({"q", "qq"});
       },
       "needs token 'qq'"},
      {[](Json& j) { j["model"]["merges"].push_back("one"); }, "expected \"a b\""},
      {[](Json& j) {
         j["model"]["merges"].push_back({"", "a"});
       },
       "expected \"a b\""},
      {[](Json& j) {
         j["model"]["merges"].push_back({"a", 1});
       },
       "expected \"a b\""},
      {[](Json& j) { j["model"]["merges"] = "a b"; }, "expected an array"},
      {[](Json& j) { j["model"]["vocab"]["zz"] = 3; }, "share id 3"},
      {[](Json& j) { j["model"]["vocab"]["zz"] = -1; }, "expected an id below"},
      {[](Json& j) { j["model"]["vocab"]["zz"] = 1 << 22; }, "expected an id below 4194304"},
      {[](Json& j) { j["model"]["vocab"]["zz"] = "1"; }, "expected an id below"},
      {[](Json& j) { j["model"]["vocab"][""] = 999; }, "is empty"},
      {[](Json& j) { j["model"]["vocab"] = Json::object(); }, "at least one token"},
      {[](Json& j) { j["model"]["unk_token"] = "<none>"; }, "unk_token '<none>'"},
      {[](Json& j) { j["added_tokens"][0]["id"] = 7; }, "has id 0 in the vocabulary, got 7"},
      {[](Json& j) { j["added_tokens"].push_back(j["added_tokens"][0]); }, "is there twice"},
      {[](Json& j) { j["added_tokens"][0]["content"] = ""; }, "is empty"},
      {[](Json& j) { j["added_tokens"][0].erase("lstrip"); }, "lstrip"},
      {[](Json& j) { j["surprise"] = 1; }, "surprise"},
      {[](Json& j) { j.erase("model"); }, "model"},
      {[](Json& j) { j["pre_tokenizer"] = 3; }, "pre_tokenizer"}};
  for (const auto& [edit, reason] : edits) {
    const std::string error = error_after(edit);
    CHECK_MESSAGE(error.starts_with("corrupt: "), error);
    CHECK_MESSAGE(has(error, reason), error);
  }
}

TEST_CASE("an added token that the tokenizers package would number differently is refused") {
  const std::string error = error_after([](Json& json) {
    Json token = json["added_tokens"][0];
    token["id"] = 4000;
    token["content"] = "<new>";
    json["added_tokens"].push_back(token);
  });
  CHECK(has(error, "incompatible"));
  CHECK(has(error, "'<new>' with id 4000 instead of"));
}

TEST_CASE("files that are missing, damaged or too large are refused") {
  const auto folder = organ::test::scratch();
  CHECK(has(error_of([&] { Tokenizer::open(folder.path()); }),
            "not_found: '" + folder.path().string() + "': holds no tokenizer.json"));
  CHECK(has(error_of([&] { open_text("{\"model\":"); }), "corrupt"));
  CHECK(has(error_of([&] { open_text(R"({"model":{"vocab":{"a":0,"a":1}}})"); }), "corrupt"));
  const auto big = folder.path() / "tokenizer.json";
  std::ofstream(big) << "{}";
  std::filesystem::resize_file(big, (std::uintmax_t{64} << 20) + 1);
  CHECK(has(error_of([&] { Tokenizer::open(folder.path()); }), "corrupt"));
}

TEST_CASE("one word of megabytes takes n log n steps, not n squared") {
  const Tokenizer bytes = open_text(load("byte_level.json").dump());
  const Tokenizer llama = open_text(load("llama_like.json").dump());
  for (const Tokenizer& tokenizer : {bytes, llama}) {
    for (const std::string unit : {"a", "cat", " ", "é", "<|", "\n "}) {
      std::string text;
      while (text.size() < 1'000'000) text += unit;
      const auto ids = split_ids(tokenizer, text);
      CHECK(ids.size() > 1000);
      CHECK(tokenizer.decode(ids) == text);
    }
  }
}
