// SPDX-License-Identifier: Apache-2.0
// That the documents are those of transformers' tokenizers is asked of transformers
// (tests/train/tokenizer/folder_parity.py); here: what is refused, and by which name.
#include "format/checkpoint/tokenizer_files.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "format/base/file.h"
#include "format/checkpoint/checkpoint.h"
#include "tests/support/support.h"

namespace organ::format {
namespace {

using test::error_of;

const Json kBytes = {{"version", "1.0"},
                     {"added_tokens", Json::array()},
                     {"pre_tokenizer",
                      {{"type", "ByteLevel"},
                       {"add_prefix_space", false},
                       {"trim_offsets", true},
                       {"use_regex", true}}},
                     {"model",
                      {{"type", "BPE"},
                       {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}, {"<|endoftext|>", 3}}},
                       {"merges", {"a b"}}}}};

class Folder {
 public:
  Folder& with(const std::string& name, const Json& json) {
    write_file(scratch_.path() / name, json.dump());
    return *this;
  }
  Folder& text(const std::string& name, std::string_view text) {
    write_file(scratch_.path() / name, text);
    return *this;
  }
  TokenizerFiles read() const { return read_tokenizer_files(scratch_.path()); }
  std::string refusal() const {
    return error_of([&] { read(); });
  }
  std::optional<Digest> digest() const { return tokenizer_digest(scratch_.path()); }
  const std::filesystem::path& path() const { return scratch_.path(); }

 private:
  TempFolder scratch_ = test::scratch();
};

Folder bytes() {
  Folder folder;
  folder.with("tokenizer.json", kBytes).with("config.json", {{"model_type", "llama"}});
  return folder;
}

void says(const std::string& error, std::string_view part) {
  CAPTURE(error);
  CHECK(error.find(part) != std::string::npos);
}

// The added token of this text.
Json added(const TokenizerFiles& files, std::string_view content) {
  for (const Json& token : (*files.document)["added_tokens"]) {
    if (token["content"] == content) return token;
  }
  return nullptr;
}

}  // namespace

TEST_CASE("a class that is not built here is refused by its name, with the way out") {
  const std::string error =
      bytes().with("tokenizer_config.json", {{"tokenizer_class", "FooTokenizer"}}).refusal();
  CHECK(error.starts_with("incompatible: "));
  says(error, "tokenizer_config.json: tokenizer_class 'FooTokenizer'");
  says(bytes()
           .with("config.json", {{"model_type", "llama"}, {"tokenizer_class", "FooTokenizer"}})
           .refusal(),
       "config.json: tokenizer_class 'FooTokenizer'");
}

TEST_CASE("settings that put another tokenizer in the place of the files are refused by name") {
  const std::pair<const char*, Json> kinds[] = {{"auto_map", {{"AutoTokenizer", {"a.B", nullptr}}}},
                                                {"vocab", {{"a", 0}}},
                                                {"merges", {"a b"}},
                                                {"init_inputs", {1}},
                                                {"fast_tokenizer_files", {"tokenizer.4.0.0.json"}},
                                                {"fix_mistral_regex", true}};
  for (const auto& [key, value] : kinds) {
    const std::string error = bytes().with("tokenizer_config.json", {{key, value}}).refusal();
    CHECK(error.starts_with("incompatible: tokenizer_config.json: "));
    says(error, key);
  }
}

TEST_CASE("a vocabulary of another model than the class takes is refused") {
  Folder folder = bytes();
  folder.with("config.json", {{"model_type", "t5"}});
  says(folder.refusal(), "tokenizer.json: model 'BPE' for a class that takes Unigram");
}

TEST_CASE("a folder without a vocabulary says which files it looked for") {
  Folder folder;
  says(folder.refusal(), "vocab.json and merges.txt");
  folder.with("config.json", {{"model_type", "bert"}});
  says(folder.refusal(), "vocab.txt");
  CHECK(folder.refusal().starts_with("not_found: "));
}

TEST_CASE("files that are no text are refused") {
  Folder folder;
  folder.with("vocab.json", kBytes["model"]["vocab"]).text("merges.txt", "a \xFF\n");
  says(folder.refusal(), "corrupt: merges.txt: is not valid UTF-8");
}

TEST_CASE("two new tokens of the model's own have no order") {
  const Json settings = {{"b_token", "<x>"}, {"a_token", "<y>"}};
  says(bytes().with("tokenizer_config.json", settings).refusal(), "without an id");
  CHECK(added(bytes().with("tokenizer_config.json", {{"b_token", "<x>"}}).read(), "<x>")["id"] ==
        4);
}

TEST_CASE("of several sources the one that transformers asks counts") {
  Folder folder = bytes();
  folder.with("tokenizer_config.json", {{"eos_token", "<a>"}})
      .with("special_tokens_map.json", {{"eos_token", "<b>"}})
      .with("added_tokens.json", {{"<c>", 4}, {"<b>", 5}});
  const TokenizerFiles files = folder.read();
  CHECK(files.special_names.at("eos_token") == "<b>");
  CHECK(added(files, "<c>")["special"] == false);
  CHECK(added(files, "<b>")["special"] == true);
  CHECK(added(files, "<a>").is_null());
  folder.with("tokenizer_config.json",
              {{"eos_token", "<a>"}, {"added_tokens_decoder", {{"4", {{"content", "<d>"}}}}}});
  const TokenizerFiles with_table = folder.read();
  CHECK(with_table.special_names.at("eos_token") == "<a>");
  CHECK(added(with_table, "<c>").is_null());
  CHECK(added(with_table, "<d>")["id"] == 4);
}

TEST_CASE("every file that changes an id changes the digest, every other leaves it") {
  const auto base = bytes().digest();
  REQUIRE(base.has_value());
  CHECK(bytes()
            .with("tokenizer_config.json", {{"tokenizer_class", "PreTrainedTokenizerFast"},
                                            {"eos_token", "<|endoftext|>"},
                                            {"model_max_length", 512}})
            .digest() != base);
  const Json changes[] = {{{"tokenizer_class", "Qwen2Tokenizer"}},
                          {{"additional_special_tokens", {"ab"}}},
                          {{"added_tokens_decoder", {{"4", {{"content", "<d>"}}}}}},
                          {{"split_special_tokens", true}},
                          {{"tokenizer_class", "FooTokenizer"}}};
  for (const Json& settings : changes) {
    CAPTURE(settings.dump());
    CHECK(bytes().with("tokenizer_config.json", settings).digest() != base);
  }
  CHECK(bytes().with("added_tokens.json", {{"<d>", 4}}).digest() != base);
  CHECK(bytes().with("special_tokens_map.json", {{"eos_token", "<d>"}}).digest() != base);
  for (const Json& settings :
       {Json{{"model_max_length", 512}}, Json{{"padding_side", "left"}},
        Json{{"chat_template", "x"}}, Json{{"tokenizer_class", "PreTrainedTokenizerFast"}},
        Json{{"additional_special_tokens", Json::array()}}}) {
    CAPTURE(settings.dump());
    CHECK(bytes().with("tokenizer_config.json", settings).digest() == base);
  }
}

TEST_CASE("numbers that nobody asks for stop no file") {
  const auto base = bytes().digest();
  Folder folder = bytes();
  folder.text("tokenizer_config.json",
              R"({"model_max_length": 1000000000000000019884624838656, "x": NaN, "y": -0})");
  CHECK(folder.digest() == base);
  folder.text("config.json", R"({"model_type": "llama", "limit": Infinity})");
  CHECK(folder.digest() == base);
  folder.text("tokenizer_config.json",
              R"({"added_tokens_decoder": {"1e400": {"content": "<d>"}}})");
  says(folder.refusal(), "1e400");
}

TEST_CASE("a pair of files has a digest, which its other files change") {
  Folder folder;
  folder.with("config.json", {{"model_type", "gpt2"}})
      .with("vocab.json", kBytes["model"]["vocab"])
      .text("merges.txt", "#version: 0.2\na b\n");
  const auto base = folder.digest();
  REQUIRE(base.has_value());
  CHECK(folder.with("config.json", {{"model_type", "qwen2"}}).digest() != base);
}

TEST_CASE("organs that recorded tokenizer.json alone are still at home") {
  Folder folder = bytes();
  const auto alone = folder.digest();
  CHECK(has_tokenizer(folder.path(), *alone));
  folder.with("added_tokens.json", {{"<d>", 4}});
  CHECK(folder.digest() != alone);
  CHECK(has_tokenizer(folder.path(), *alone));
  CHECK(has_tokenizer(folder.path(), *folder.digest()));
  CHECK_FALSE(has_tokenizer(folder.path(), sha256("another")));
}

}  // namespace organ::format
