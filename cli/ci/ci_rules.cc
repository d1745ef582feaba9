// SPDX-License-Identifier: Apache-2.0
#include "cli/ci/ci_rules.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "format/base/fail.h"
#include "format/manifest/overlap_record.h"

namespace organ::cli {
namespace {

using format::Evaluation;
using format::Manifest;

RuleVerdict skipped(std::string reason) { return {Outcome::skipped, std::move(reason), {}}; }

void refuse(RuleVerdict& verdict, CiCheck check, std::string subject, std::string message) {
  verdict.outcome = Outcome::failed;
  verdict.findings.push_back({"ci/" + std::string(to_string(check)), ReportLevel::error,
                              std::move(subject), std::move(message)});
}

// SPDX identifiers are the same in any case.
std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) {
    return static_cast<char>(c < 0x80 ? std::tolower(c) : c);
  });
  return text;
}

std::string name_of(const Evaluation& evaluation) {
  return fmt::format("{} {} on {}", evaluation.protocol, evaluation.subject, evaluation.dataset);
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

void compare_bound(const Evaluation& evaluation, const char* what, std::optional<double> value,
                   std::optional<double> most, RuleVerdict& verdict) {
  if (!most) return;
  if (!value) {
    refuse(verdict, CiCheck::evaluation, name_of(evaluation),
           fmt::format("its {} is not recorded, at most {} is allowed", what, *most));
  } else if (*value > *most) {
    refuse(verdict, CiCheck::evaluation, name_of(evaluation),
           fmt::format("{} is {}, at most {} is allowed", what, *value, *most));
  }
}

void compare_with_other(const Manifest& organ, const Evaluation& evaluation,
                        const std::string& subject, RuleVerdict& verdict) {
  bool any = false;
  for (const Evaluation& other : organ.evaluations) {
    if (other.subject != subject || !measured_alike(other, evaluation)) continue;
    any = true;
    if (evaluation.nll < other.nll) continue;
    refuse(verdict, CiCheck::evaluation, name_of(evaluation),
           fmt::format("nll is {}, that of {} is {}", evaluation.nll, subject, other.nll));
  }
  if (!any) {
    refuse(verdict, CiCheck::evaluation, name_of(evaluation),
           fmt::format("no figure of {} was measured alike", subject));
  }
}

void judge_demand(const Manifest& organ, const EvaluationDemand& demand, RuleVerdict& verdict) {
  bool any = false;
  for (const Evaluation& evaluation : organ.evaluations) {
    if (!is_chosen(evaluation, demand)) continue;
    any = true;
    compare_bound(evaluation, "nll", evaluation.nll, demand.max_nll, verdict);
    compare_bound(evaluation, "perplexity", evaluation.perplexity, demand.max_perplexity, verdict);
    compare_bound(evaluation, "bits per byte", evaluation.bits_per_byte, demand.max_bits_per_byte,
                  verdict);
    if (demand.min_tokens && evaluation.tokens < *demand.min_tokens) {
      refuse(verdict, CiCheck::evaluation, name_of(evaluation),
             fmt::format("{} tokens were measured, {} are asked for", evaluation.tokens,
                         *demand.min_tokens));
    }
    if (!demand.improves_on.empty()) {
      compare_with_other(organ, evaluation, demand.improves_on, verdict);
    }
  }
  if (!any) {
    refuse(verdict, CiCheck::evaluation, describe(demand), "organ.json records no such figure");
  }
}

bool was_trained_on(const Manifest& organ, const Digest& dataset) {
  return organ.training && std::ranges::any_of(organ.training->data, [&](const auto& data) {
           return data.digest == dataset;
         });
}

}  // namespace

RuleVerdict judge_license(const Manifest& organ, const CiPolicy& policy) {
  if (policy.licenses.empty()) return skipped("no licences are named");
  RuleVerdict verdict;
  const auto allowed = [&](const std::string& license) {
    return lower(license) == lower(organ.license.value_or(""));
  };
  if (!organ.license) {
    refuse(verdict, CiCheck::license, "organ.json", "names no licence");
  } else if (std::ranges::none_of(policy.licenses, allowed)) {
    refuse(verdict, CiCheck::license, "organ.json",
           fmt::format("its licence {} is none of those allowed", quote(*organ.license)));
  }
  return verdict;
}

RuleVerdict judge_evaluations(const Manifest& organ, const CiPolicy& policy) {
  if (policy.evaluations.empty()) return skipped("no bounds are named");
  RuleVerdict verdict;
  for (const EvaluationDemand& demand : policy.evaluations) judge_demand(organ, demand, verdict);
  return verdict;
}

RuleVerdict judge_memorisation(const Manifest& organ, const CiPolicy& policy) {
  const auto overlap = format::overlap_record(organ);
  if (!overlap && organ.evaluations.empty()) {
    return skipped("organ.json records neither figures nor what held-out data training saw");
  }
  RuleVerdict verdict;
  if (overlap && overlap->share > policy.max_overlap) {
    refuse(verdict, CiCheck::memorisation, "held-out data",
           fmt::format("{:.1f} % of its sequences of {} tokens were trained on, at most {:.1f} % "
                       "are allowed",
                       100 * overlap->share, overlap->gram_tokens, 100 * policy.max_overlap));
  }
  for (const Evaluation& evaluation : organ.evaluations) {
    if (was_trained_on(organ, evaluation.dataset_digest)) {
      refuse(verdict, CiCheck::memorisation, name_of(evaluation),
             "was measured on data that it was trained on");
    }
    const bool chosen = evaluation.conditions && evaluation.conditions->chose_weights;
    if (chosen && !policy.allow_chosen_weights) {
      refuse(verdict, CiCheck::memorisation, name_of(evaluation),
             "the weights were chosen by this very figure");
    }
  }
  // Other files may hold the same sentences.
  if (!overlap && organ.training && verdict.outcome == Outcome::passed) {
    return skipped("organ.json does not record what held-out data training saw");
  }
  return verdict;
}

}  // namespace organ::cli
