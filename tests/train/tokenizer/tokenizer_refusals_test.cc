// SPDX-License-Identifier: Apache-2.0
// Tokenizers that are not known, contradict themselves or are damaged.
#include "train/tokenizer/tokenizer.h"

#include <fstream>
#include <tuple>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "format/base/base64.h"
#include "format/base/file.h"
#include "format/base/json.h"
#include "tests/support/support.h"
#include "tests/train/tokenizer/fixtures.h"

using organ::Json;
using organ::test::error_after;
using organ::test::error_of;
using organ::test::has;
using organ::test::load_fixture;
using organ::test::open_text;
using organ::train::Tokenizer;

TEST_CASE("components that are not known are refused by name") {
  const std::pair<const char*, std::string> parts[] = {{"normalizer", "Nmt"},
                                                       {"normalizer", "ByteLevel"},
                                                       {"pre_tokenizer", "UnicodeScripts"},
                                                       {"pre_tokenizer", "FixedLength"},
                                                       {"post_processor", "Unknown"},
                                                       {"decoder", "BPEDecoder"},
                                                       {"decoder", "CTC"}};
  for (const auto& [part, type] : parts) {
    const std::string error = error_after([&key = part, &name = type](Json& json) {
      json[key] = {{"type", name}};
    });
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
  Json document = load_fixture("unigram.json");
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
      load_fixture("unigram.json")["normalizer"]["precompiled_charsmap"].get<std::string>());
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
  const std::size_t trie = good.find("never", 0);
  REQUIRE(trie != std::string::npos);
  CHECK(has(error_with(good.substr(0, trie - 2)), "no replacement begins at byte"));
  std::string lost = good;
  lost[7] = '\x7F';  // the upper byte of the root's offset
  CHECK(has(error_with(lost), "the trie leads to unit"));
  CHECK(has(
      error_after([](Json& j) { j["normalizer"]["precompiled_charsmap"] = "%"; }, "unigram.json"),
      "is not base64"));
  // Whatever one byte says, the map is refused or leads to valid text.
  for (std::size_t at = 0; at < good.size(); at += 61) {
    Json document = load_fixture("unigram.json");
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
  CHECK(has(error_of([&] { Tokenizer::open(big); }), "corrupt"));
}

TEST_CASE("a file named by itself is found as one of a folder is") {
  const auto folder = organ::test::scratch();
  const auto file = folder.path() / "inside" / "tokenizer.json";
  std::filesystem::create_directory(file.parent_path());
  std::ofstream(file) << "version https://git-lfs.github.com/spec/v1\n";
  for (const auto& path : {file, file.parent_path()}) {
    CHECK(has(error_of([&] { Tokenizer::open(path); }), "is a Git LFS pointer"));
  }
  std::filesystem::rename(file, folder.path() / "outside.json");
  std::filesystem::create_symlink("../outside.json", file);
  for (const auto& path : {file, file.parent_path()}) {
    CHECK(has(error_of([&] { Tokenizer::open(path); }), "is a symlink that leaves"));
  }
}
