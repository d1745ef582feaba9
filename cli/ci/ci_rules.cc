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
  for (const EvaluationDemand& demand : policy.evaluations) {
    for (Shortfall& one :
         judge_demand({organ.evaluations}, demand, "organ.json records no such figure")) {
      refuse(verdict, CiCheck::evaluation, std::move(one.subject), std::move(one.message));
    }
  }
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
      refuse(verdict, CiCheck::memorisation, figure_name(evaluation),
             "was measured on data that it was trained on");
    }
    const bool chosen = evaluation.conditions && evaluation.conditions->chose_weights;
    if (chosen && !policy.allow_chosen_weights) {
      refuse(verdict, CiCheck::memorisation, figure_name(evaluation),
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
