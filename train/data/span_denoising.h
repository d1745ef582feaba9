// SPDX-License-Identifier: Apache-2.0
// What an encoder-decoder is trained and measured on: span denoising (T5, arXiv 1910.10683, section
// 3.1.4; transformers' run_t5_mlm_flax draws alike). Spans of a window are dropped, 15 % of its
// tokens in spans of 3 on average. The encoder reads the rest with one sentinel for each span, the
// decoder writes the sentinels, each followed by its span; both end with the end of sequence. The
// draw is fixed by its seed, so that two measurements are of the same task.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#pragma GCC visibility push(default)

namespace organ::train {

struct WindowArrays;

// How long a window of `tokens` becomes. The lengths do not depend on the draw, so windows of one
// length make rows of one length; neither falls when `tokens` grows.
struct SpanLengths {
  std::size_t dropped = 0, spans = 0;
  std::size_t source = 0, target = 0;
};
// A window of one token has no span.
SpanLengths span_lengths(std::size_t tokens);

struct SpanDraw {
  std::uint64_t seed = 0;
  std::vector<std::int32_t> sentinels;  // <extra_id_0>, <extra_id_1>, …
  std::int32_t end = 1;                 // eos_token_id
  std::int32_t start = 0;               // decoder_start_id
};

// Makes a row of the window `text` that starts at token `start` of its data. The first
// `source_length` places of the arrays are the encoder's, the others the decoder's; both may be
// longer than the window needs. What is left over is padding, without targets; in the source its
// first_key is its own place (at the others 0). Depends on draw, start and text alone.
void drop_spans(const SpanDraw& draw, std::uint64_t start, std::span<const std::int32_t> text,
                std::size_t source_length, const WindowArrays& row);

// Of each target of that row in order: which token of the text it asks for; a sentinel for the
// first of its span, the end of sequence for the last token.
std::vector<std::size_t> span_target_places(const SpanDraw& draw, std::uint64_t start,
                                            std::size_t tokens);

}  // namespace organ::train

#pragma GCC visibility pop
