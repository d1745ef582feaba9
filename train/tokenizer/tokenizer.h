// SPDX-License-Identifier: Apache-2.0
// Text to token ids and back, from a Hugging Face tokenizer.json (or GPT-2's vocab.json and
// merges.txt). Gives the ids of the PyPI package `tokenizers`, or refuses: a component that is
// not known exactly is an error with its name, never approximated. No Torch.
// The identity of a tokenizer for manifests is format::tokenizer_digest.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/error.h"
#include "format/base/progress.h"

#pragma GCC visibility push(default)

namespace organ::train {

// Immutable and cheap to copy (copies share the tables); every member is thread-safe.
class Tokenizer {
 public:
  // Reads `path`: a tokenizer.json, or a model folder that holds tokenizer.json or else
  // vocab.json and merges.txt. The names of the special tokens come from tokenizer_config.json
  // beside it when there is one. Fields `truncation` and `padding` are ignored: nothing is ever
  // cut or filled. Throws not_found; corrupt (with the reason) for a file that contradicts itself
  // or passes a limit: 64 MiB of JSON, 2^22 ids; incompatible naming a component we do not know.
  static Tokenizer open(const std::filesystem::path& path);

  // The ids of `utf8`; with `add_special` also those the post-processor puts around one text
  // (<s>). Special tokens written in the text are recognised, as `tokenizers` does. Time grows
  // as n log n at most, whatever the text. Throws invalid_argument for invalid UTF-8 (with the
  // byte offset) and for texts over 1 GiB; cancelled. `work` is told the bytes of `utf8`, a few
  // thousand words at a time, and all of them at the end; cutting it into words is not told of.
  std::vector<std::int32_t> encode(std::string_view utf8, bool add_special,
                                   const Work& work = {}) const;

  // The ids that encode() with `add_special` puts before a text: those of the post-processor's
  // template, none where it has none.
  std::vector<std::int32_t> before_text() const;

  // The text of `ids`, always valid UTF-8 (broken sequences become U+FFFD). An id that names no
  // token has none: models have more rows than their tokenizer has tokens. Throws invalid_argument
  // with the position for a negative id.
  std::string decode(std::span<const std::int32_t> ids, bool skip_special = false) const;

  // One more than the largest id.
  std::uint32_t vocab_size() const;
  // The id of exactly this token, as written in the file ("Ġthe", "<s>").
  std::optional<std::int32_t> token_to_id(std::string_view token) const;
  // The token of an id (an added token as it is looked for, that is normalised where it says so);
  // empty for an id that names no token. Valid while a copy of this lives.
  std::string_view id_to_token(std::int32_t id) const;

  std::optional<std::int32_t> bos() const;
  std::optional<std::int32_t> eos() const;
  std::optional<std::int32_t> unk() const;
  std::optional<std::int32_t> pad() const;

 private:
  struct [[gnu::visibility("hidden")]] Impl;
  explicit Tokenizer(std::shared_ptr<const Impl> impl);
  // Shared, because copies of a tokenizer live in data loaders and evaluators on many threads.
  std::shared_ptr<const Impl> impl_;
};

}  // namespace organ::train

#pragma GCC visibility pop
