// SPDX-License-Identifier: Apache-2.0
// What the files of a model folder say together about its tokenizer: tokenizer.json or vocab.json
// with merges.txt or vocab.txt, tokenizer_config.json, added_tokens.json, special_tokens_map.json
// and config.json. Sources and priority are those of AutoTokenizer in transformers 5.23; what that
// would read otherwise than it is read here is refused by name.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "format/base/digest.h"
#include "format/base/json.h"

namespace organ::format {

struct TokenizerFiles {
  // In the form of a tokenizer.json, its `added_tokens` complete. The class that transformers would
  // take decides the stages: most of them keep vocabulary, merges and post-processor of the file
  // and bring the rest themselves. Never null.
  std::shared_ptr<const Json> document;
  // "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token" and
  // their texts; what has none is left out.
  std::map<std::string, std::string> special_names;
  // Special tokens written in a text are read as text.
  bool split_special_tokens = false;
  // Added tokens that were looked for in normalised text before a later file took that back: they
  // are decoded to the normalised text.
  std::set<std::string> once_normalized;
  // Scores of a Unigram model are the numbers of the file, not those that `tokenizers` reads.
  bool exact_scores = false;
};

// Throws not_found where no file holds a vocabulary; corrupt; incompatible naming the file and the
// key for what is not read here (a class of tokenizer, a token in a form that transformers
// refuses).
TokenizerFiles read_tokenizer_files(const std::filesystem::path& folder);

// One JSON file of a tokenizer in `folder`, within the limits of all of them; links and pointers as
// read_model_file takes them. Throws not_found, corrupt, io.
Json read_tokenizer_json(const std::filesystem::path& folder, std::string_view name);

// `recorded`, from an organ, is that of the folder's tokenizer: format::tokenizer_digest() or the
// digest of tokenizer.json alone, which organs recorded before the other files were looked at.
bool has_tokenizer(const std::filesystem::path& folder, const Digest& recorded);

}  // namespace organ::format
