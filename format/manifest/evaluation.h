// SPDX-License-Identifier: Apache-2.0
// One figure of an organ, and what decides it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "format/base/digest.h"

#pragma GCC visibility push(default)

namespace organ::format {

// How the data of a figure was read.
struct EvaluationReading {
  // What ended a document besides the end of its file: file | blank-lines | end-of-text; nullopt:
  // ids were measured, taken as they are.
  std::optional<std::string> document_split;
  // What was cut from the end of rows of ids; nullopt: nothing.
  std::optional<std::uint64_t> padding_id;
  std::optional<std::uint64_t> draw_seed;  // of hidden tokens or dropped spans; nullopt: none drawn
  std::optional<std::uint64_t> first_windows;  // only so many of the data; nullopt: all

  bool operator==(const EvaluationReading&) const = default;
};

// What decides a figure besides model, protocol and data.
struct EvaluationConditions {
  std::string precision;  // of the arithmetic: fp32 | bf16
  std::string device;     // the class of device that computed: cpu | cuda
  // The ids that stood before each document, context that is no target; nullopt: rows of ids were
  // measured, taken as they are.
  std::optional<std::vector<std::uint64_t>> lead_in;
  // The published weights were chosen by their figure on this very data, which is too good by that.
  bool chose_weights = false;
  // nullopt: an organ that was made before it was recorded does not say.
  std::optional<EvaluationReading> reading = {};

  bool operator==(const EvaluationConditions&) const = default;
};

// "none"; the ids joined by "+", "1"; "as-is" for rows of ids.
std::string lead_in_text(const std::optional<std::vector<std::uint64_t>>& lead_in);

// "file", "blank-lines", "end-of-text"; "as-is" for ids.
std::string document_split_text(const EvaluationReading& reading);

// As a label holds them: "lead=none,docs=file,fp32,cpu", with "pad=0", "seed=0" and "windows=8"
// behind "docs" where there is one, and ",chose-weights" where that is so. Without what a figure of
// before does not say.
std::string label_text(const EvaluationConditions& conditions);

// A figure that was measured with the organ, or of the recipient without it (schemas/training.md).
// Two may be compared only where protocol, context, stride, data, tokenizer and conditions agree.
struct Evaluation {
  // What was measured: recipient_untouched (before the organ came in) | as_transplanted (with it) |
  // after_recovery (with it, the recipient trained on) | wrapper (what it was trained in).
  std::string subject;
  // The first layer of the recipient that the organ stood at, counted from 0; nullopt: not told.
  std::optional<std::uint64_t> position;
  std::string protocol;  // P0 …, never a diagnostic (P1 to P6)
  // Tokens of a window, tokens between the starts of two, and targets that the mean is taken over.
  std::uint64_t context = 0, stride = 0, tokens = 0;
  double nll = 0;         // mean negative log-likelihood of a target, in nats
  double perplexity = 0;  // exp(nll)
  // nll in bits, times the tokens of the text over its bytes of UTF-8. nullopt for ids, whose text
  // nobody knows, and for other tasks than the next token.
  std::optional<double> bits_per_byte;
  std::string dataset;  // name for people
  // SHA-256 of its one file; of several, of the lines "sha256:<hex>\n" of their digests in order.
  Digest dataset_digest;
  std::optional<Digest> tokenizer_digest;  // as TokenizerRecord's; nullopt: not told
  // nullopt: an organ that was made before they were recorded does not say.
  std::optional<EvaluationConditions> conditions;
};

}  // namespace organ::format

#pragma GCC visibility pop
