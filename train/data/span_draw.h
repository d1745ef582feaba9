// SPDX-License-Identifier: Apache-2.0
// The draw of span denoising that fits a model.
#pragma once

#include <cstdint>

#include "format/base/json.h"
#include "train/data/span_denoising.h"

namespace organ::train {

class Tokenizer;

// decoder_start_token_id of config.json, else its pad_token_id, else 0: what a decoder reads first.
std::int32_t decoder_start_id(const Json& config, std::uint64_t vocab_size);

// From config.json and the tokenizer. Throws incompatible when the tokenizer has fewer sentinels
// than a window of `context` tokens needs, or an id lies beyond the model's vocabulary.
SpanDraw read_span_draw(const Json& config, const Tokenizer& tokenizer, std::uint64_t vocab_size,
                        std::int64_t context, std::uint64_t seed);

}  // namespace organ::train
