// SPDX-License-Identifier: Apache-2.0
// Decoders of tokenizer.json: tokens to the texts that are joined. Immutable and thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "train/tokenizer/stages/pre_tokenizer.h"
#include "train/tokenizer/text/regex.h"

namespace organ::train {

// What a tokenizer decodes to is the tokens joined after the last decoder, broken UTF-8 mended.
class Decoder {
 public:
  virtual ~Decoder() = default;
  // Texts may be any bytes until the last decoder is done. A decoder may make fewer or more of
  // them. Throws invalid_argument when a regex gives up on a text (PCRE2's match limit).
  virtual void apply(std::vector<std::string>& tokens) const = 0;
};

using DecoderPtr = std::unique_ptr<const Decoder>;

// One after the other; no part is null.
DecoderPtr make_decoder_sequence(std::vector<DecoderPtr> parts);
// One text of the bytes that the characters stand for (byte_level.h), broken sequences as U+FFFD.
// A token with any character that stands for no byte is taken as it is.
DecoderPtr make_byte_level_decoder();
// A run of <0x00>-<0xFF> becomes one text of these bytes, or one U+FFFD for each byte where it is
// no UTF-8 as a whole.
DecoderPtr make_byte_fallback_decoder();
// One text of all.
DecoderPtr make_fuse_decoder();
// Every match in each text by itself.
DecoderPtr make_replace_decoder(Pattern pattern, std::string content);
// Takes up to `start` and `stop` copies of `character` off both ends of each text.
DecoderPtr make_strip_decoder(std::string character, std::size_t start, std::size_t stop);
// Tokens that begin with `prefix` join the one before, others but the first get a space in front;
// `cleanup` takes out spaces before marks and English contractions (" n't", " 's"), in each text by
// itself, by the rules of `tokenizers`.
DecoderPtr make_wordpiece_decoder(std::string prefix, bool cleanup);
// Every `replacement` becomes a space; those of the first text go, unless the scheme is never.
DecoderPtr make_metaspace_decoder(std::string replacement, PrependScheme scheme);

}  // namespace organ::train
