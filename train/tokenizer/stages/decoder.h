// SPDX-License-Identifier: Apache-2.0
// Decoders of tokenizer.json: tokens to the texts that are joined. Immutable and thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "train/tokenizer/stages/pre_tokenizer.h"
#include "train/tokenizer/text/regex.h"

namespace organ::train {

class Decoder {
 public:
  virtual ~Decoder() = default;
  // Texts may be any bytes until the last decoder is done.
  virtual void apply(std::vector<std::string>& tokens) const = 0;
};

using DecoderPtr = std::unique_ptr<const Decoder>;

DecoderPtr make_decoder_sequence(std::vector<DecoderPtr> parts);
DecoderPtr make_byte_level_decoder();
DecoderPtr make_byte_fallback_decoder();
DecoderPtr make_fuse_decoder();
DecoderPtr make_replace_decoder(Pattern pattern, std::string content);
// Takes up to `start` and `stop` copies of `character` off both ends of each text.
DecoderPtr make_strip_decoder(std::string character, std::size_t start, std::size_t stop);
// Tokens that begin with `prefix` join the one before; `cleanup` takes out spaces before marks.
DecoderPtr make_wordpiece_decoder(std::string prefix, bool cleanup);
DecoderPtr make_metaspace_decoder(std::string replacement, PrependScheme scheme);

}  // namespace organ::train
