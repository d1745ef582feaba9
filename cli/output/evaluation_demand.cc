// SPDX-License-Identifier: Apache-2.0
#include "cli/output/evaluation_demand.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "format/base/fail.h"

namespace organ::cli {
namespace {

using format::Evaluation;

constexpr std::string_view kKind = "evaluation:";
constexpr std::string_view kSubjects[] = {"recipient_untouched", "as_transplanted",
                                          "after_recovery", "wrapper"};

// A condition of --require and the field of organ-ci.json that it stands for.
struct Condition {
  std::string_view word, field;
  bool is_number;
};
constexpr std::array<Condition, 8> kConditions = {{{"nll<=", "max_nll", true},
                                                   {"perplexity<=", "max_perplexity", true},
                                                   {"bits_per_byte<=", "max_bits_per_byte", true},
                                                   {"tokens>=", "min_tokens", true},
                                                   {"subject=", "subject", false},
                                                   {"protocol=", "protocol", false},
                                                   {"dataset=", "dataset_digest", false},
                                                   {"improves_on=", "improves_on", false}}};

std::string read_subject(const JsonObject& object, std::string_view key) {
  if (object.is_null(key)) return {};
  std::string subject = object.string(key);
  if (std::ranges::find(kSubjects, subject) == std::end(kSubjects)) {
    object.fail_field(key,
                      "expected recipient_untouched, as_transplanted, after_recovery or wrapper");
  }
  return subject;
}

std::optional<double> read_bound(const JsonObject& object, std::string_view key) {
  const auto bound = object.optional_real(key);
  if (bound && *bound < 0) object.fail_field(key, "is below 0");
  return bound;
}

std::string read_protocol(const JsonObject& object) {
  if (object.is_null("protocol")) return {};
  constexpr std::size_t kLongest = 4096;
  std::string text = object.string("protocol");
  if (text.empty() || text.size() > kLongest || text.find('\0') != std::string::npos) {
    object.fail_field("protocol", "is empty, longer than 4096 bytes, or has a NUL in it");
  }
  return text;
}

bool is_chosen(const Evaluation& evaluation, const EvaluationDemand& demand) {
  const bool subject = demand.subject.empty() ? evaluation.subject != "recipient_untouched"
                                              : evaluation.subject == demand.subject;
  return subject && (demand.protocol.empty() || evaluation.protocol == demand.protocol) &&
         (!demand.dataset_digest || evaluation.dataset_digest == *demand.dataset_digest);
}

std::string describe(const EvaluationDemand& demand) {
  std::string text = demand.subject.empty() ? "an organ's figure" : demand.subject;
  if (!demand.protocol.empty()) text += " by " + demand.protocol;
  if (demand.dataset_digest) text += " on " + demand.dataset_digest->to_string();
  return text;
}

// Two figures that differ in nothing but the model. That one of the weights was chosen by its
// figure is a matter of the check of memorisation.
bool measured_alike(const Evaluation& a, const Evaluation& b) {
  auto left = a.conditions, right = b.conditions;
  if (left) left->chose_weights = false;
  if (right) right->chose_weights = false;
  return a.protocol == b.protocol && a.context == b.context && a.stride == b.stride &&
         a.tokens == b.tokens && a.dataset_digest == b.dataset_digest &&
         a.tokenizer_digest == b.tokenizer_digest && left == right;
}

using Shortfalls = std::vector<Shortfall>;

void compare_bound(const Evaluation& evaluation, const char* what, std::optional<double> value,
                   std::optional<double> most, Shortfalls& out) {
  if (!most) return;
  if (!value) {
    out.push_back({figure_name(evaluation),
                   fmt::format("its {} is not recorded, at most {} is allowed", what, *most)});
  } else if (*value > *most) {
    out.push_back({figure_name(evaluation),
                   fmt::format("{} is {}, at most {} is allowed", what, *value, *most)});
  }
}

void compare_with_other(const StatedFigures& figures, const Evaluation& evaluation,
                        const std::string& subject, Shortfalls& out) {
  bool any = false;
  for (const Evaluation& other : figures) {
    if (other.subject != subject || !measured_alike(other, evaluation)) continue;
    any = true;
    if (evaluation.nll < other.nll) continue;
    out.push_back({figure_name(evaluation),
                   fmt::format("nll is {}, that of {} is {}", evaluation.nll, subject, other.nll)});
  }
  if (!any) {
    out.push_back(
        {figure_name(evaluation), fmt::format("no figure of {} was measured alike", subject)});
  }
}

void judge_figure(const Evaluation& evaluation, const EvaluationDemand& demand,
                  const StatedFigures& figures, Shortfalls& out) {
  compare_bound(evaluation, "nll", evaluation.nll, demand.max_nll, out);
  compare_bound(evaluation, "perplexity", evaluation.perplexity, demand.max_perplexity, out);
  compare_bound(evaluation, "bits per byte", evaluation.bits_per_byte, demand.max_bits_per_byte,
                out);
  if (demand.min_tokens && evaluation.tokens < *demand.min_tokens) {
    out.push_back({figure_name(evaluation),
                   fmt::format("measured on {}, asked for are {}",
                               counted(evaluation.tokens, "token"), *demand.min_tokens)});
  }
  if (!demand.improves_on.empty()) {
    compare_with_other(figures, evaluation, demand.improves_on, out);
  }
}

[[noreturn]] void fail_demand(std::string_view text, std::string message) {
  throw Error(
      ErrorCode::invalid_argument, fmt::format("--require {}: {}", quote(text), std::move(message)),
      "evaluation:nll<=2.5,protocol=P0 … with nll, perplexity, bits_per_byte <=, tokens >=, "
      "subject, protocol, dataset, improves_on =");
}

void add_condition(std::string_view text, std::string_view condition, Json& fields) {
  const auto* found = std::ranges::find_if(
      kConditions, [&](const Condition& one) { return condition.starts_with(one.word); });
  if (found == kConditions.end()) {
    fail_demand(text, quote(condition) + " is no condition on a figure");
  }
  const std::string value(condition.substr(found->word.size()));
  if (fields.contains(found->field)) fail_demand(text, quote(found->word) + " stands there twice");
  Json operand = value;
  if (found->is_number) {
    operand = parse_json(value, {.bytes = 64, .depth = 1, .reals = true}, "its number");
    // null is no bound
    if (!operand.is_number()) fail_demand(text, quote(value) + " is no number");
  }
  fields[std::string(found->field)] = std::move(operand);
}

}  // namespace

EvaluationDemand read_demand(const JsonObject& object) {
  object.allow_only({"dataset_digest", "improves_on", "max_bits_per_byte", "max_nll",
                     "max_perplexity", "min_tokens", "protocol", "subject"});
  EvaluationDemand demand;
  demand.subject = read_subject(object, "subject");
  demand.protocol = read_protocol(object);
  if (!object.is_null("dataset_digest")) demand.dataset_digest = object.digest("dataset_digest");
  demand.max_nll = read_bound(object, "max_nll");
  demand.max_perplexity = read_bound(object, "max_perplexity");
  demand.max_bits_per_byte = read_bound(object, "max_bits_per_byte");
  demand.min_tokens = object.optional_unsigned("min_tokens");
  demand.improves_on = read_subject(object, "improves_on");
  return demand;
}

EvaluationDemand parse_demand(std::string_view text) {
  if (!text.starts_with(kKind)) fail_demand(text, "expected evaluation: in front");
  Json fields = Json::object();
  try {
    for (std::string_view rest = text.substr(kKind.size());;) {
      const std::size_t comma = rest.find(',');
      add_condition(text, rest.substr(0, comma), fields);
      if (comma == rest.npos) break;
      rest.remove_prefix(comma + 1);
    }
    return read_demand(JsonObject(fields, "its condition"));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::corrupt) throw;
    fail_demand(text, error.message());
  }
}

std::string figure_name(const Evaluation& evaluation) {
  return fmt::format("{} {} on {}", evaluation.protocol, evaluation.subject, evaluation.dataset);
}

std::vector<Shortfall> judge_demand(const std::vector<StatedFigures>& statements,
                                    const EvaluationDemand& demand, std::string_view none) {
  Shortfalls out;
  bool any = false;
  for (const StatedFigures& figures : statements) {
    for (const Evaluation& evaluation : figures) {
      if (!is_chosen(evaluation, demand)) continue;
      any = true;
      judge_figure(evaluation, demand, figures, out);
    }
  }
  if (!any) out.push_back({describe(demand), std::string(none)});
  return out;
}

}  // namespace organ::cli
