// SPDX-License-Identifier: Apache-2.0
// Bounds on figures: what organ-ci.json demands of those of organ.json, and `verify --require` of
// those that somebody attested. Values in, values out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/digest.h"
#include "format/base/json.h"
#include "format/manifest/evaluation.h"

namespace organ::cli {

inline constexpr std::size_t kMostDemands = 64;

// A bound on the evaluations that the selectors choose; there must be one. Empty selectors: any.
// nll is in nats per target, of P0w per word. Bounds are included, but improves_on asks for less.
struct EvaluationDemand {
  std::string subject = {};   // empty: every one but recipient_untouched
  std::string protocol = {};  // P0
  std::optional<Digest> dataset_digest = {};
  std::optional<double> max_nll = {}, max_perplexity = {}, max_bits_per_byte = {};
  std::optional<std::uint64_t> min_tokens = {};
  std::string improves_on = {};  // a subject that was measured alike, with a larger loss
};

// An element of `evaluations` of organ-ci.json (schemas/ci-policy.v1.schema.json). Throws corrupt.
EvaluationDemand read_demand(const JsonObject& object);

// "evaluation:" and, between commas, bounds (nll<=, perplexity<=, bits_per_byte<=, tokens>=) and
// selectors (subject=, protocol=, dataset=sha256:…, improves_on=). Throws invalid_argument.
EvaluationDemand parse_demand(std::string_view text);

// One thing that is demanded and not so. The message is one clause for people, not escaped.
struct Shortfall {
  std::string subject;  // the figure
  std::string message;
};
// The figures of one statement. Only these are compared with each other (improves_on): what another
// one measured may have been another recipient.
using StatedFigures = std::vector<format::Evaluation>;
// What is demanded and not so, of all figures that are chosen. `none` is said when none is.
std::vector<Shortfall> judge_demand(const std::vector<StatedFigures>& statements,
                                    const EvaluationDemand& demand, std::string_view none);

// "P0 after_recovery on law.txt".
std::string figure_name(const format::Evaluation& evaluation);

}  // namespace organ::cli
