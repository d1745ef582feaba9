// SPDX-License-Identifier: Apache-2.0
// From the JSON of a tokenizer to its stages. All functions throw corrupt for a document that
// contradicts itself and incompatible for a component that is not known exactly. The stages
// keep nothing of the JSON. `path` is what errors call the component (tokenizer.json: normalizer).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/json.h"
#include "format/checkpoint/tokenizer_files.h"
#include "train/tokenizer/models/token_model.h"
#include "train/tokenizer/stages/added_tokens.h"
#include "train/tokenizer/stages/decoder.h"
#include "train/tokenizer/stages/normalizer.h"
#include "train/tokenizer/stages/pre_tokenizer.h"

namespace organ::train {

// Ids are below this.
inline constexpr std::uint32_t kMaxTokenizerIds = 1u << 22;

// Ids that the post-processor puts around one text. Whether they name tokens is not checked here.
struct Template {
  std::vector<std::int32_t> before, after;
};

// A tokenizer.json with the names of tokenizer_config.json beside it, or a model folder. Throws
// not_found, io, and what format::read_tokenizer_files does.
format::TokenizerFiles read_tokenizer(const std::filesystem::path& path);

// Null JSON gives a null pointer, of a post-processor an empty template. In read_stages.cc.
NormalizerPtr read_normalizer(const Json& json, const std::string& path);
PreTokenizerPtr read_pre_tokenizer(const Json& json, const std::string& path);
DecoderPtr read_decoder(const Json& json, const std::string& path);
Template read_post_processor(const Json& json, const std::string& path);

// In read_model.cc. With `exact_scores` those of a Unigram model are the numbers of the document,
// else what the JSON reader of `tokenizers` makes of them, which may differ in the last bit.
TokenModelPtr read_token_model(const JsonObject& model, bool exact_scores = false);
// In the order of the document, contents as written there. Throws incompatible for an id beyond the
// vocabulary that is not the next free one: `tokenizers` would give it another.
std::vector<AddedToken> read_added_tokens(const JsonObject& document, const Vocabulary& vocabulary);

// Throws incompatible: "PATH: WHAT is not supported".
[[noreturn]] void refuse_component(const std::string& path, std::string_view what);

}  // namespace organ::train
