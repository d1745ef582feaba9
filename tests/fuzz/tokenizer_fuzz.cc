// SPDX-License-Identifier: Apache-2.0
// Input: the files of a tokenizer, a NUL between them: tokenizer.json, tokenizer_config.json,
// special_tokens_map.json, added_tokens.json, config.json. A missing or empty part is no file. The
// first is read alone and all of them as a folder.
#include <array>
#include <filesystem>

#include "tests/fuzz/scratch.h"
#include "tests/fuzz/target.h"
#include "train/tokenizer/text/unicode.h"
#include "train/tokenizer/tokenizer.h"

namespace organ::train {
namespace {

namespace fs = std::filesystem;
using fuzz::demand;

constexpr std::array kFiles = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
                               "added_tokens.json", "config.json"};
constexpr std::string_view kText = "Hello, \xC3\xA9t\xC3\xA9 42 <s>\n\xE4\xB8\xAD a\xCC\x81 ";

void check_ids(const Tokenizer& tokenizer, const std::vector<std::int32_t>& ids) {
  for (const std::int32_t id : ids) {
    demand(id >= 0 && static_cast<std::uint32_t>(id) < tokenizer.vocab_size(),
           "an id is one of the vocabulary");
  }
}

void check_accepted(const Tokenizer& tokenizer) {
  demand(tokenizer.vocab_size() <= 1u << 22, "the limit holds");
  check_ids(tokenizer, tokenizer.before_text());
  for (const auto& id : {tokenizer.bos(), tokenizer.eos(), tokenizer.unk(), tokenizer.pad()}) {
    if (id) check_ids(tokenizer, {*id});
  }
  // A regular expression may give up on a text, an Unigram model on a character.
  fuzz::expect({ErrorCode::invalid_argument, ErrorCode::incompatible, ErrorCode::corrupt}, [&] {
    const std::vector<std::int32_t> ids = tokenizer.encode(kText, true);
    check_ids(tokenizer, ids);
    demand(ids == tokenizer.encode(kText, true), "equal texts have equal ids");
    const std::vector<std::int32_t> before = tokenizer.before_text();
    demand(ids.size() >= before.size() && std::equal(before.begin(), before.end(), ids.begin()),
           "what stands before a text does");
    demand(!find_invalid_utf8(tokenizer.decode(ids)), "a text is valid UTF-8");
    demand(!find_invalid_utf8(tokenizer.decode(ids, true)), "so it is without special tokens");
  });
}

void open(const fs::path& path) {
  fuzz::expect({ErrorCode::corrupt, ErrorCode::incompatible, ErrorCode::not_found},
               [&] { check_accepted(Tokenizer::open(path)); });
}

void run(std::string_view input) {
  static const fuzz::Scratch scratch;
  for (const char* name : kFiles) {
    const std::string_view text = input.substr(0, input.find('\0'));
    input.remove_prefix(std::min(text.size() + 1, input.size()));
    std::error_code ignored;
    if (text.empty()) {
      fs::remove(scratch.path() / name, ignored);
    } else {
      fuzz::overwrite(scratch.path() / name, text);
    }
  }
  open(scratch.path() / kFiles[0]);
  open(scratch.path());
}

}  // namespace
}  // namespace organ::train

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  organ::train::run(organ::fuzz::text_of(data, size));
  return 0;
}
