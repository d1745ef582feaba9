// SPDX-License-Identifier: Apache-2.0
#include "train/tokenizer/tokenizer.h"

#include <fstream>
#include <tuple>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "format/base/base64.h"
#include "format/base/file.h"
#include "format/base/json.h"
#include "tests/support/support.h"
#include "train/tokenizer/text_stream.h"

using organ::Json;
using organ::test::error_of;
using organ::train::Tokenizer;

namespace {

Json load(const std::string& name) {
  const auto path = std::filesystem::path(ORGAN_TOKENIZER_DATA) / name;
  organ::JsonLimits limits;
  limits.reals = true;
  return organ::parse_json(organ::read_file(path, 1 << 20), limits, name);
}

Tokenizer open_text(const std::string& text) {
  const auto folder = organ::test::scratch();
  std::ofstream(folder.path() / "tokenizer.json") << text;
  return Tokenizer::open(folder.path());
}

// The error of a fixture after `edit`.
template <typename Edit>
std::string error_after(Edit edit, const std::string& name = "byte_level.json") {
  Json document = load(name);
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

TEST_CASE("a BERT-like tokenizer gives the ids and texts of the tokenizers package") {
  check_cases("wordpiece");
}

TEST_CASE("a T5-like tokenizer gives the ids and texts of the tokenizers package") {
  check_cases("unigram");
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

TEST_CASE("a template says what is before a text; tokenizer_config.json only of a pair of files") {
  const std::string asks = R"({"bos_token": "b", "add_bos_token": true, "add_eos_token": true})";
  const auto folder = organ::test::scratch();
  std::ofstream(folder.path() / "vocab.json") << R"({"a":0,"b":1,"<|endoftext|>":2})";
  std::ofstream(folder.path() / "merges.txt") << "#version: 0.2\n";
  CHECK(Tokenizer::open(folder.path()).before_text().empty());
  std::ofstream(folder.path() / "tokenizer_config.json") << asks;
  const Tokenizer pair = Tokenizer::open(folder.path());
  CHECK(pair.before_text() == std::vector<std::int32_t>{1});
  CHECK(pair.encode("a", true) == std::vector<std::int32_t>{1, 0, 2});
  CHECK(pair.encode("a", false) == std::vector<std::int32_t>{0});
  Json document = load("llama_like.json");
  for (const auto& [template_json, before] :
       {std::pair<Json, std::vector<std::int32_t>>{document["post_processor"], {1}},
        std::pair<Json, std::vector<std::int32_t>>{nullptr, {}}}) {
    document["post_processor"] = template_json;
    std::ofstream(folder.path() / "tokenizer.json") << document.dump();
    CHECK(Tokenizer::open(folder.path()).before_text() == before);
  }
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

TEST_CASE("text comes out of a stream in whole characters as soon as it is certain") {
  const std::string text = "na\u00efve caf\u00e9 \u65e5\u672c \U0001F408 cat";
  for (const char* name : {"byte_level.json", "llama_like.json", "unigram.json"}) {
    CAPTURE(name);
    const Tokenizer tokenizer = Tokenizer::open(std::filesystem::path(ORGAN_TOKENIZER_DATA) / name);
    const auto ids = tokenizer.encode(text, false);
    const auto prompt = static_cast<std::ptrdiff_t>(name == std::string("byte_level.json") ? 2 : 1);
    organ::train::TextStream stream(tokenizer, {ids.begin(), ids.begin() + prompt});
    std::string streamed;
    for (const std::int32_t id : std::vector(ids.begin() + prompt, ids.end())) {
      const std::string piece = stream.push(id);
      CHECK_FALSE(has(piece, "\uFFFD"));
      streamed += piece;
    }
    streamed += stream.finish();
    const std::string whole = tokenizer.decode(ids, true);
    CHECK(whole ==
          tokenizer.decode(std::vector(ids.begin(), ids.begin() + prompt), true) + streamed);
  }
}

TEST_CASE("a text that ends within a character gives it up when the stream is finished") {
  const Tokenizer tokenizer = open_text(load("byte_level.json").dump());
  organ::train::TextStream stream(tokenizer, tokenizer.encode("the", false));
  CHECK(stream.push(tokenizer.encode("\u00e9", false).front()).empty());
  CHECK(stream.finish() == "\uFFFD");
}

TEST_CASE("an id that names no token has no text, a negative one is refused with its position") {
  const Tokenizer tokenizer = open_text(load("byte_level.json").dump());
  const std::vector<std::int32_t> text = tokenizer.encode("ab cd", false);
  for (const std::int32_t id : {static_cast<std::int32_t>(tokenizer.vocab_size()), INT32_MAX}) {
    std::vector<std::int32_t> ids = text;
    ids.insert(ids.begin() + 1, id);
    ids.push_back(id);
    CHECK(tokenizer.decode(ids) == "ab cd");
    organ::train::TextStream stream(tokenizer, {text.front()});
    std::string streamed = stream.push(id);
    for (const std::int32_t next : std::span(text).subspan(1)) streamed += stream.push(next);
    streamed += stream.push(id) + stream.finish();
    CHECK(tokenizer.decode(std::span(text).first(1)) + streamed == "ab cd");
  }
  const std::string error = error_of([&] {
    tokenizer.decode(std::vector<std::int32_t>{1, 2, -1});
  });
  CHECK(has(error, "invalid_argument: ids: position 2: id -1"));
}

TEST_CASE("a token without text is an id that no text has") {
  for (const std::string name : {"byte_level.json", "wordpiece.json", "unigram.json"}) {
    CAPTURE(name);
    Json document = load(name);
    const Tokenizer before = open_text(document.dump());
    Json& vocab = document["model"]["vocab"];
    const auto id =
        static_cast<std::int32_t>(vocab.is_array() ? vocab.size() : before.vocab_size());
    if (vocab.is_array()) {
      vocab.push_back({"", -3.5});
    } else {
      vocab[""] = id;
    }
    const Tokenizer tokenizer = open_text(document.dump());
    CHECK(tokenizer.encode("once upon a time", false) == before.encode("once upon a time", false));
    CHECK(tokenizer.vocab_size() == static_cast<std::uint32_t>(id) + 1);
    CHECK(tokenizer.decode(std::vector<std::int32_t>{id}).empty());
  }
}

TEST_CASE("a token without text is counted where the next id is free") {
  Json document = load("unigram.json");
  Json& vocab = document["model"]["vocab"];
  const std::size_t id = vocab.size();
  vocab.push_back({"", -3.5});
  Json token = document["added_tokens"][0];
  token["content"] = "<behind>";
  token["id"] = id + 1;
  document["added_tokens"].push_back(token);
  CHECK(open_text(document.dump()).token_to_id("<behind>") == static_cast<std::int32_t>(id) + 1);
}

TEST_CASE("broken byte sequences decode to replacement characters") {
  const Tokenizer tokenizer = open_text(load("byte_level.json").dump());
  const std::vector<std::int32_t> first = {tokenizer.encode("é", false).front()};
  CHECK(tokenizer.decode(first) == "\uFFFD");
}

TEST_CASE("components that are not known are refused by name") {
  const std::pair<const char*, std::string> parts[] = {{"normalizer", "Nmt"},
                                                       {"normalizer", "ByteLevel"},
                                                       {"pre_tokenizer", "UnicodeScripts"},
                                                       {"pre_tokenizer", "FixedLength"},
                                                       {"post_processor", "Unknown"},
                                                       {"decoder", "BPEDecoder"},
                                                       {"decoder", "CTC"}};
  for (const auto& [part, type] : parts) {
    const std::string error = error_after([&](Json& json) { json[part] = {{"type", type}}; });
    CHECK(has(error, "incompatible: tokenizer.json: " + std::string(part)));
    CHECK(has(error, "'" + type + "' is not supported"));
  }
  const std::string level = error_after([](Json& json) { json["model"]["type"] = "WordLevel"; });
  CHECK(has(level, "incompatible"));
  CHECK(has(level, "model 'WordLevel'"));
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
  for (const auto& [text, reason] : patterns) {
    const auto& pattern = text;
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

TEST_CASE("a WordPiece or Unigram model that contradicts itself is refused with the reason") {
  using Edit = void (*)(Json&);
  const std::tuple<const char*, Edit, const char*> edits[] = {
      {"wordpiece.json", [](Json& j) { j["model"]["unk_token"] = "<none>"; },
       "corrupt: tokenizer.json: unk_token '<none>'"},
      {"wordpiece.json", [](Json& j) { j["model"].erase("max_input_chars_per_word"); },
       "max_input_chars_per_word"},
      {"wordpiece.json", [](Json& j) { j["model"]["merges"] = Json::array(); }, "merges"},
      {"wordpiece.json", [](Json& j) { j["model"]["vocab"][std::string(1025, 'a')] = 4000; },
       "incompatible: tokenizer.json: model: a token of more than 1024 bytes is not supported"},
      {"wordpiece.json", [](Json& j) { j["post_processor"]["sep"] = "[SEP]"; },
       "expected [token, id]"},
      {"wordpiece.json", [](Json& j) { j["post_processor"]["sep"][1] = 3999; },
       "id 3999 names no token"},
      {"wordpiece.json", [](Json& j) { j["post_processor"]["cls"][1] = -1; },
       "expected [token, id]"},
      {"wordpiece.json", [](Json& j) { j["normalizer"]["surprise"] = true; }, "surprise"},
      {"wordpiece.json", [](Json& j) { j["normalizer"]["lowercase"] = 1; }, "lowercase"},
      {"unigram.json", [](Json& j) { j["model"]["vocab"] = Json::array(); }, "expected an array"},
      {"unigram.json", [](Json& j) { j["model"]["vocab"].push_back({"x"}); },
       "expected [text, score]"},
      {"unigram.json",
       [](Json& j) {
         j["model"]["vocab"].push_back({"x", "1"});
       },
       "expected [text, score]"},
      {"unigram.json",
       [](Json& j) {
         j["model"]["vocab"].push_back({std::string(1025, 'a'), -1.5});
       },
       "a token of more than 1024 bytes"},
      {"unigram.json", [](Json& j) { j["model"]["unk_id"] = 100000; }, "100000 is no token"},
      {"unigram.json", [](Json& j) { j["model"]["unk_id"] = -1; }, "unk_id"},
      {"unigram.json", [](Json& j) { j["model"]["dropout"] = 0.1; }, "dropout"}};
  for (const auto& [name, edit, reason] : edits) {
    const std::string error = error_after(edit, name);
    CHECK_MESSAGE(has(error, reason), error);
  }
}

TEST_CASE("a character no token holds is refused where there is no unknown token") {
  Json document = load("unigram.json");
  document["model"].erase("unk_id");
  document.erase("normalizer");
  const Tokenizer tokenizer = open_text(document.dump());
  CHECK_FALSE(tokenizer.unk().has_value());
  CHECK(tokenizer.encode("cat", false).size() > 0);
  const std::string error = error_of([&] { tokenizer.encode("cat 日", false); });
  CHECK(has(error, "invalid_argument: text: '日' is in no token"));
}

TEST_CASE("a damaged character map is refused when it is opened, never followed") {
  const std::string good = *organ::base64_decode(
      load("unigram.json")["normalizer"]["precompiled_charsmap"].get<std::string>());
  const auto error_with = [&](const std::string& bytes) {
    return error_after(
        [&](Json& j) { j["normalizer"]["precompiled_charsmap"] = organ::base64_encode(bytes); },
        "unigram.json");
  };
  CHECK(has(error_with(""), "has no size of its trie"));
  CHECK(has(error_with(std::string(4, '\0')), "an empty trie"));
  CHECK(has(error_with(good.substr(0, 40)), "in a map of 40"));
  CHECK(has(error_with("\x03" + good.substr(1)), "a trie of"));
  CHECK(has(error_with(good + "\xFF"), "is not valid UTF-8"));
  std::string without_texts = good;
  const std::size_t trie = without_texts.find("never", 0);
  REQUIRE(trie != std::string::npos);
  CHECK(has(error_with(without_texts.substr(0, trie - 2)), "no replacement begins at byte"));
  std::string lost = good;
  lost[7] = '\x7F';  // the upper byte of the root's offset
  CHECK(has(error_with(lost), "the trie leads to unit"));
  CHECK(has(
      error_after([](Json& j) { j["normalizer"]["precompiled_charsmap"] = "%"; }, "unigram.json"),
      "is not base64"));
  // Whatever one byte says, the map is refused or leads to valid text.
  for (std::size_t at = 0; at < good.size(); at += 61) {
    Json document = load("unigram.json");
    std::string bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x5A);
    document["normalizer"]["precompiled_charsmap"] = organ::base64_encode(bytes);
    try {
      const Tokenizer tokenizer = open_text(document.dump());
      (void)tokenizer.encode("a ab e\u0301 \r\n ﬁ Ａ © 각ᆨ क 🙂 \u0600x é", true);
    } catch (const organ::Error& error) {
      CHECK(error.code() == organ::ErrorCode::corrupt);
    }
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

TEST_CASE("one piece of megabytes takes Unigram and WordPiece a step for a byte") {
  Json whole = load("unigram.json");
  whole.erase("normalizer");
  whole["pre_tokenizer"]["split"] = false;
  Json word = load("wordpiece.json");
  word["model"]["max_input_chars_per_word"] = 1 << 30;
  for (const Tokenizer& tokenizer : {open_text(whole.dump()), open_text(word.dump())}) {
    for (const std::string unit : {"cat", "hat", "a"}) {
      std::string text;
      while (text.size() < 1'000'000) text += unit;
      CHECK(split_ids(tokenizer, text).size() >= 1);
    }
  }
}
