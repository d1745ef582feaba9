// SPDX-License-Identifier: Apache-2.0
#include "tests/train/support/letter_tokenizer.h"

#include <string>

#include <fmt/format.h>

#include "format/base/file.h"

namespace organ::test {

std::string letters_before_text(const std::string& letters) {
  std::string pieces, tokens;
  for (const char letter : letters) {
    const std::string name = std::string("\"") + letter + "\"";
    pieces += fmt::format(R"({{"SpecialToken": {{"id": {}, "type_id": 0}}}}, )", name);
    tokens += fmt::format(R"({}{}: {{"id": {}, "ids": [{}], "tokens": [{}]}})",
                          tokens.empty() ? "" : ", ", name, name, letter - 'a', name);
  }
  return R"({"type": "TemplateProcessing", "single": [)" + pieces +
         R"({"Sequence": {"id": "A", "type_id": 0}}], "pair": [], "special_tokens": {)" + tokens +
         "}}";
}

std::filesystem::path write_letter_tokenizer(const std::filesystem::path& folder,
                                             const std::string& post_processor,
                                             const std::string& config) {
  std::string vocabulary;
  for (char letter = 'a'; letter <= 'z'; ++letter) {
    vocabulary += std::string("\"") + letter + "\": " + std::to_string(letter - 'a') + ", ";
  }
  // Byte-level BPE writes a line feed as U+010A and a space as U+0120.
  vocabulary += "\"\u010a\": 26, \"\u0120\": 27, \"<|endoftext|>\": 28";
  write_file(folder / "tokenizer.json",
             R"({"version": "1.0", "truncation": null, "padding": null,
                 "added_tokens": [{"id": 28, "content": "<|endoftext|>", "single_word": false,
                   "lstrip": false, "rstrip": false, "normalized": false, "special": true}],
                 "normalizer": null,
                 "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false,
                   "trim_offsets": true, "use_regex": true},
                 "post_processor": )" +
                 post_processor + R"(,
                 "decoder": {"type": "ByteLevel", "add_prefix_space": true,
                   "trim_offsets": true, "use_regex": true},
                 "model": {"type": "BPE", "dropout": null, "unk_token": null,
                   "continuing_subword_prefix": null, "end_of_word_suffix": null,
                   "fuse_unk": false, "byte_fallback": false,
                   "vocab": {)" +
                 vocabulary + R"(}, "merges": []}})");
  // Of no model's own class, whatever config.json lies beside it.
  std::string settings = config;
  settings.insert(1, R"("tokenizer_class": "PreTrainedTokenizerFast")");
  if (config != "{}") settings.insert(settings.find('"', 45), ", ");
  write_file(folder / "tokenizer_config.json", settings);
  return folder;
}

}  // namespace organ::test
