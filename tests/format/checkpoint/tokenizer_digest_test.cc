// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "format/base/file.h"
#include "format/base/json.h"
#include "format/checkpoint/checkpoint.h"
#include "tests/support/model_configs.h"
#include "tests/support/support.h"

namespace organ::format {
namespace {

using test::error_of;
using test::with;

const Json kTokenizer = {
    {"version", "1.0"},
    {"truncation", nullptr},
    {"added_tokens", {{{"id", 3}, {"content", "<s>"}, {"special", true}}}},
    {"normalizer", {{"type", "NFC"}}},
    {"pre_tokenizer", nullptr},
    {"model", {{"type", "BPE"}, {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}}}, {"merges", {"a b"}}}}};

class Folder {
 public:
  std::optional<Digest> digest(const Json& tokenizer) const {
    return digest_text(tokenizer.dump());
  }
  std::optional<Digest> digest_text(std::string_view text) const {
    write_file(scratch_.path() / "tokenizer.json", text);
    return tokenizer_digest(scratch_.path());
  }
  const std::filesystem::path& path() const { return scratch_.path(); }

 private:
  TempFolder scratch_ = test::scratch();
};

TEST_CASE("a folder without tokenizer.json has no digest") {
  const Folder folder;
  CHECK(!tokenizer_digest(folder.path()));
}

TEST_CASE("the digest is that of the documented canonical text") {
  const Folder folder;
  CHECK(folder.digest(kTokenizer) ==
        sha256(R"({"added_tokens":[{"content":"<s>","id":3,"special":true}],)"
               R"("model":{"merges":[["a","b"]],"type":"BPE","vocab":{"a":0,"ab":2,"b":1}},)"
               R"("normalizer":{"type":"NFC"}})"));
}

TEST_CASE("spelling does not change the digest") {
  const Folder folder;
  const auto base = folder.digest(kTokenizer);
  CHECK(folder.digest_text(kTokenizer.dump(4)) == base);
  const Json& model = kTokenizer["model"];
  const Json pairs = Json::array({Json::array({"a", "b"})});
  CHECK(folder.digest(with(kTokenizer, "model", with(model, "merges", pairs))) == base);
  CHECK(folder.digest(with(kTokenizer, "model", with(model, "dropout", 0.5))) == base);
  CHECK(folder.digest(with(kTokenizer, "model", with(model, "unk_token", nullptr))) == base);
  CHECK(folder.digest(with(kTokenizer, "post_processor", {{"type", "ByteLevel"}})) == base);
}

TEST_CASE("what changes ids changes the digest") {
  const Folder folder;
  const auto base = folder.digest(kTokenizer);
  const Json& model = kTokenizer["model"];
  CHECK(folder.digest(with(kTokenizer, "normalizer", {{"type", "NFD"}})) != base);
  CHECK(folder.digest(with(kTokenizer, "pre_tokenizer", {{"type", "Whitespace"}})) != base);
  CHECK(folder.digest(with(kTokenizer, "added_tokens", Json::array())) != base);
  CHECK(folder.digest(with(kTokenizer, "model", with(model, "merges", Json::array()))) != base);
  CHECK(folder.digest(with(kTokenizer, "model", with(model, "vocab", {{"a", 1}}))) != base);
  const Json unigram = {{"type", "Unigram"}, {"vocab", {{"a", -1.5}}}};
  CHECK(folder.digest(with(kTokenizer, "model", unigram)) !=
        folder.digest(with(kTokenizer, "model", with(unigram, "vocab", {{"a", -1.25}}))));
}

TEST_CASE("a tokenizer that is not one is refused") {
  const Folder folder;
  const auto refusal = [&](const Json& tokenizer) {
    return error_of([&] { folder.digest(tokenizer); });
  };
  CHECK(refusal(Json::object()).find("'model': is missing") != std::string::npos);
  CHECK(refusal(Json::array()).starts_with("corrupt: "));
  const Json& model = kTokenizer["model"];
  for (const Json& merges : {Json{"ab"}, Json{1}, Json(7), Json{{"a", "b", "c"}}}) {
    CAPTURE(merges.dump());
    CHECK(refusal(with(kTokenizer, "model", with(model, "merges", merges))).find("'merges'") !=
          std::string::npos);
  }
  CHECK(refusal(with(kTokenizer, "added_tokens", {{{"content", "x"}}})).find("'id'") !=
        std::string::npos);
}

}  // namespace
}  // namespace organ::format
