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

// What decides a figure besides model, protocol and data.
struct EvaluationConditions {
  std::string precision;  // of the arithmetic: fp32 | bf16
  std::string device;     // the class of device that computed: cpu | cuda
  // The ids that stood before each document, context that is no target; nullopt: rows of ids were
  // measured, taken as they are.
  std::optional<std::vector<std::uint64_t>> lead_in;
  // The published weights were chosen by their figure on this very data, which is too good by that.
  bool chose_weights = false;

  bool operator==(const EvaluationConditions&) const = default;
};

// "none"; the ids joined by "+", "1"; "as-is" for rows of ids.
std::string lead_in_text(const std::optional<std::vector<std::uint64_t>>& lead_in);

// As a label holds them: "lead=none,fp32,cpu", with ",chose-weights" where that is so.
std::string label_text(const EvaluationConditions& conditions);

struct Evaluation {
  std::string subject;  // recipient_untouched | as_transplanted | after_recovery | wrapper
  std::optional<std::uint64_t> position;
  std::string protocol;  // P0 …, never a diagnostic (P1 to P6)
  std::uint64_t context = 0, stride = 0, tokens = 0;
  double nll = 0;  // nats per token
  double perplexity = 0;
  std::optional<double> bits_per_byte;
  std::string dataset;  // name for people
  Digest dataset_digest;
  std::optional<Digest> tokenizer_digest;
  // nullopt: an organ that was made before they were recorded does not say.
  std::optional<EvaluationConditions> conditions;
};

}  // namespace organ::format

#pragma GCC visibility pop
