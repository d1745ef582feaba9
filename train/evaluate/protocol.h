// SPDX-License-Identifier: Apache-2.0
// How a figure was measured (schemas/training.md). Two figures may be
// compared only under one protocol.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "format/base/digest.h"
#include "format/manifest/evaluation.h"
#include "train/data/task.h"

#pragma GCC visibility push(default)

namespace organ::train {

// p0: the mean over real targets, one shift, documents masked. p0w: the same sum per original
// word, in the rolling windows of lm-eval. The others explain figures that were measured wrongly:
// p1 counts padding as targets, p2 averages the documents' perplexities, p3 shifts the labels
// twice, p4 not at all, p5 lets every token see its whole document, p6 averages batch means. mlm:
// the mean over the hidden tokens of a masked model (train/data/masking.h). spans: the mean over
// what the decoder of an encoder-decoder writes (train/data/span_denoising.h).
enum class Protocol : std::uint8_t { p0, p0w, p1, p2, p3, p4, p5, p6, mlm, spans };

std::string_view to_string(Protocol protocol);  // "P0", "P0w", "P1" …
std::optional<Protocol> parse_protocol(std::string_view name);

// The only protocol for models of a task; nullopt for next_token, which has several.
std::optional<Protocol> protocol_of(Task task);
// Whether it is the protocol of such a task.
bool is_of_task(Protocol protocol);

// P1 to P6: no figure of the model, never stored with an organ.
bool is_diagnostic(Protocol protocol);
// The sentence that goes with every figure of a diagnostic protocol.
std::string watermark(Protocol protocol);

// "P0s" for windows that overlap (stride < context), else the protocol's name.
std::string protocol_name(Protocol protocol, std::int64_t context, std::int64_t stride);
// How a figure of a protocol_name() is written:
// ppl[P0,ctx=512,stride=512,tok=1a2b3c4d5e6f,lead=none,docs=file,fp32,cpu]; diagnostic[P4,…] for
// what is no perplexity; MLM-PPL[…] and SPAN-PPL[…] for the perplexity of hidden tokens and of
// spans. `own`: protocol_settings(), behind the stride. A figure of before, whose conditions nobody
// recorded, ends behind its tokenizer.
std::string protocol_label(std::string_view name, std::int64_t context, std::int64_t stride,
                           const std::optional<Digest>& tokenizer,
                           const std::optional<format::EvaluationConditions>& conditions,
                           std::string_view own = {});

}  // namespace organ::train

#pragma GCC visibility pop
