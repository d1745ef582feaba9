// SPDX-License-Identifier: Apache-2.0
#include "train/tokenizer/tokenizer.h"

#include <fstream>
#include <tuple>

#include <doctest/doctest.h>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "format/base/base64.h"
#include "format/base/file.h"
#include "format/base/json.h"
#include "tests/support/paths.h"
#include "tests/support/support.h"
#include "tests/support/watcher.h"
#include "tests/train/tokenizer/fixtures.h"
#include "train/tokenizer/text_stream.h"

using organ::Json;
using organ::test::error_of;
using organ::test::has;
using organ::test::load_fixture;
using organ::test::open_text;
using organ::train::Tokenizer;

namespace {

std::vector<std::int32_t> ids_of(const Json& value) {
  return value.get<std::vector<std::int32_t>>();
}

void check_cases(const std::string& name) {
  const auto path = std::filesystem::path(organ::test::kTokenizerData) / (name + ".json");
  const Tokenizer tokenizer = Tokenizer::open(path);
  const Json cases = load_fixture(name + ".cases.json");
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
  Json document = load_fixture("llama_like.json");
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
  std::ofstream(folder.path() / "tokenizer.json") << load_fixture("llama_like.json").dump();
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
  const Tokenizer tokenizer = open_text(load_fixture("byte_level.json").dump());
  const std::pair<std::string, std::string> cases[] = {
      {"ab\xC3", "byte 2"},        {"\xC0\xAF", "byte 0"},
      {"a\xED\xA0\x80", "byte 1"}, {"abc\xF4\x90\x80\x80", "byte 3"},
      {"\xE2\x82", "byte 0"},      {"a\xFF", "byte 1"}};
  for (const auto& [text, where] : cases) {
    const std::string error = error_of([&, &bad = text] { tokenizer.encode(bad, false); });
    CHECK(has(error, "invalid_argument: text: " + where + " is not valid UTF-8"));
  }
}

TEST_CASE("text comes out of a stream in whole characters as soon as it is certain") {
  const std::string text = "na\u00efve caf\u00e9 \u65e5\u672c \U0001F408 cat";
  for (const char* name : {"byte_level.json", "llama_like.json", "unigram.json"}) {
    CAPTURE(name);
    const Tokenizer tokenizer =
        Tokenizer::open(std::filesystem::path(organ::test::kTokenizerData) / name);
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
  const Tokenizer tokenizer = open_text(load_fixture("byte_level.json").dump());
  organ::train::TextStream stream(tokenizer, tokenizer.encode("the", false));
  CHECK(stream.push(tokenizer.encode("\u00e9", false).front()).empty());
  CHECK(stream.finish() == "\uFFFD");
}

TEST_CASE("a prompt that ends within a character is gone on with") {
  const Tokenizer tokenizer = open_text(load_fixture("byte_level.json").dump());
  for (const char* character : {"\u00e9", "\u20ac", "\uff71", "\U0001F408"}) {
    CAPTURE(character);
    const auto ids = tokenizer.encode(std::string("the ") + character + " cat", false);
    const std::string whole = tokenizer.decode(ids);
    for (std::size_t prompt = 1; prompt < ids.size(); ++prompt) {
      organ::train::TextStream stream(
          tokenizer, {ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(prompt)});
      std::string said = tokenizer.decode(std::span(ids).first(prompt));
      while (said.ends_with("\uFFFD")) said.resize(said.size() - 3);  // what comes again whole
      for (const std::int32_t id : std::span(ids).subspan(prompt)) said += stream.push(id);
      CHECK(said + stream.finish() == whole);
    }
  }
}

TEST_CASE("a prompt of characters in bytes is gone on with, wherever its last ids begin") {
  const Tokenizer tokenizer =
      Tokenizer::open(std::filesystem::path(organ::test::kTokenizerData) / "llama_like.json");
  const std::string text = "a\u00e9\U0001F600\U0001F389\u65e5\U0001F600\U0001F600\U0001F389 hello";
  const auto ids = tokenizer.encode(text, false);
  const std::string whole = tokenizer.decode(ids);
  std::size_t prompts = 0;
  for (std::size_t length = 1; length < ids.size(); ++length) {
    const auto prompt = std::span(ids).first(length);
    const std::string before = tokenizer.decode(prompt);
    if (has(before, "\uFFFD")) continue;
    CAPTURE(before);
    organ::train::TextStream stream(tokenizer, {prompt.begin(), prompt.end()});
    std::string said = before;
    for (const std::int32_t id : std::span(ids).subspan(length)) said += stream.push(id);
    CHECK(said + stream.finish() == whole);
    ++prompts;
  }
  CHECK(prompts > 8);
}

TEST_CASE("what was given out of a stream stays, and what follows is text") {
  const Tokenizer tokenizer =
      Tokenizer::open(std::filesystem::path(organ::test::kTokenizerData) / "llama_like.json");
  const auto ids = tokenizer.encode("a\U0001F600\U0001F389\u65e5\U0001F600", false);
  const std::int32_t word = tokenizer.encode("hello", false).back();
  for (std::size_t prompt = 1; prompt < ids.size(); ++prompt) {
    for (std::size_t end = prompt; end <= ids.size(); ++end) {
      for (const bool goes_on : {false, true}) {
        CAPTURE(prompt);
        CAPTURE(end);
        organ::train::TextStream stream(
            tokenizer, {ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(prompt)});
        std::string said;
        for (const std::int32_t id : std::span(ids).subspan(prompt, end - prompt)) {
          said += stream.push(id);
        }
        if (goes_on) said += stream.push(word);
        said += stream.finish();
        CHECK(error_of([&] { (void)tokenizer.encode(said, false); }) == "no error");  // UTF-8
        CHECK(said.ends_with(goes_on ? tokenizer.decode(std::vector{word}) : std::string()));
      }
    }
  }
}

TEST_CASE("encoding tells how far it is and can be ended within a text") {
  std::string text;
  for (int i = 0; i < 30'000; ++i) text += fmt::format("word{} <|end|>\u00e9 ", i % 97);
  for (const char* name : {"byte_level.json", "llama_like.json", "unigram.json"}) {
    CAPTURE(name);
    const Tokenizer tokenizer =
        Tokenizer::open(std::filesystem::path(organ::test::kTokenizerData) / name);
    organ::test::Watcher watcher;
    const auto ids =
        tokenizer.encode(text, false, organ::Work(&watcher).phase("encoding", text.size()));
    organ::test::check_phases(watcher);
    CHECK(watcher.steps() > 2);
    CHECK(ids == tokenizer.encode(text, false));
    organ::test::Watcher impatient(2);
    CHECK(error_of([&] {
            tokenizer.encode(text, false, organ::Work(&impatient));
          }).starts_with("cancelled"));
    CHECK(impatient.steps() == 2);
  }
}

TEST_CASE("an id that names no token has no text, a negative one is refused with its position") {
  const Tokenizer tokenizer = open_text(load_fixture("byte_level.json").dump());
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
    Json document = load_fixture(name);
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
  Json document = load_fixture("unigram.json");
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
  const Tokenizer tokenizer = open_text(load_fixture("byte_level.json").dump());
  const std::vector<std::int32_t> first = {tokenizer.encode("é", false).front()};
  CHECK(tokenizer.decode(first) == "\uFFFD");
}

TEST_CASE("one word of megabytes takes n log n steps, not n squared") {
  const Tokenizer bytes = open_text(load_fixture("byte_level.json").dump());
  const Tokenizer llama = open_text(load_fixture("llama_like.json").dump());
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
  Json whole = load_fixture("unigram.json");
  whole.erase("normalizer");
  whole["pre_tokenizer"]["split"] = false;
  Json word = load_fixture("wordpiece.json");
  word["model"]["max_input_chars_per_word"] = 1 << 30;
  for (const Tokenizer& tokenizer : {open_text(whole.dump()), open_text(word.dump())}) {
    for (const std::string unit : {"cat", "hat", "a"}) {
      std::string text;
      while (text.size() < 1'000'000) text += unit;
      CHECK(split_ids(tokenizer, text).size() >= 1);
    }
  }
}
