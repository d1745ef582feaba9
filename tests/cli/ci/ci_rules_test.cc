// SPDX-License-Identifier: Apache-2.0
#include "cli/ci/ci_rules.h"

#include <doctest/doctest.h>

#include <string>

#include "format/base/error.h"
#include "format/manifest/overlap_record.h"

using namespace organ;
using namespace organ::cli;
using format::Evaluation;
using format::Manifest;

namespace {

Evaluation figure(const std::string& subject, double nll) {
  Evaluation evaluation;
  evaluation.subject = subject;
  evaluation.protocol = "P0";
  evaluation.context = evaluation.stride = 512;
  evaluation.tokens = 1000;
  evaluation.nll = nll;
  evaluation.perplexity = 2 * nll;
  evaluation.dataset = "law.txt";
  evaluation.dataset_digest = sha256("law");
  evaluation.conditions =
      format::EvaluationConditions{.precision = "fp32", .device = "cpu", .lead_in = std::nullopt};
  return evaluation;
}

Manifest measured() {
  Manifest organ;
  organ.evaluations = {figure("recipient_untouched", 3), figure("as_transplanted", 2)};
  return organ;
}

CiPolicy demanding(const EvaluationDemand& demand) {
  CiPolicy policy;
  policy.evaluations = {demand};
  return policy;
}

// "passed", "skipped" or what was wrong.
std::string said(const RuleVerdict& verdict) {
  if (verdict.outcome != Outcome::failed) {
    CHECK(verdict.findings.empty());
    CHECK((verdict.outcome == Outcome::skipped) == !verdict.reason.empty());
    return std::string(to_string(verdict.outcome));
  }
  std::string text;
  for (const ReportFinding& finding : verdict.findings) {
    CHECK(finding.rule.starts_with("ci/"));
    text += (text.empty() ? "" : "; ") + finding.message;
  }
  return text;
}

}  // namespace

TEST_CASE("CI rules: licences are compared as SPDX does") {
  Manifest organ;
  CiPolicy policy;
  CHECK(said(judge_license(organ, policy)) == "skipped");
  policy.licenses = {"MIT", "Apache-2.0"};
  CHECK(said(judge_license(organ, policy)) == "names no licence");
  organ.license = "apache-2.0";
  CHECK(said(judge_license(organ, policy)) == "passed");
  organ.license = "apache-2";
  CHECK(said(judge_license(organ, policy)) == "its licence 'apache-2' is none of those allowed");
  organ.license = "";
  CHECK(said(judge_license(organ, policy)) != "passed");
}

TEST_CASE("CI rules: a figure is within its bounds, the bound included") {
  const Manifest organ = measured();
  CHECK(said(judge_evaluations(organ, {})) == "skipped");
  CHECK(said(judge_evaluations(organ, demanding({.max_nll = 2}))) == "passed");
  CHECK(said(judge_evaluations(organ, demanding({.max_nll = 1.5}))) ==
        "nll is 2, at most 1.5 is allowed");
  CHECK(said(judge_evaluations(organ, demanding({.max_perplexity = 4}))) == "passed");
  CHECK(said(judge_evaluations(organ, demanding({.max_perplexity = 3.5}))) ==
        "perplexity is 4, at most 3.5 is allowed");
  CHECK(said(judge_evaluations(organ, demanding({.max_bits_per_byte = 9}))) ==
        "its bits per byte is not recorded, at most 9 is allowed");
  CHECK(said(judge_evaluations(organ, demanding({.min_tokens = 1000}))) == "passed");
  CHECK(said(judge_evaluations(organ, demanding({.min_tokens = 1001}))) ==
        "measured on 1000 tokens, asked for are 1001");
}

TEST_CASE("CI rules: selectors choose figures, and there must be one") {
  const Manifest organ = measured();
  const std::string missing = "organ.json records no such figure";
  // Without a subject the recipient's own figure is not asked.
  CHECK(said(judge_evaluations(organ, demanding({.max_nll = 2.5}))) == "passed");
  CHECK(said(judge_evaluations(
            organ, demanding({.subject = "recipient_untouched", .max_nll = 2.5}))) != "passed");
  CHECK(said(judge_evaluations(organ, demanding({.subject = "after_recovery"}))) == missing);
  CHECK(said(judge_evaluations(organ, demanding({.protocol = "P0w"}))) == missing);
  CHECK(said(judge_evaluations(organ, demanding({.dataset_digest = sha256("other")}))) == missing);
  CHECK(said(judge_evaluations(organ, demanding({.dataset_digest = sha256("law")}))) == "passed");
  CHECK(said(judge_evaluations(Manifest(), demanding({}))) == missing);
}

TEST_CASE("CI rules: an improvement is one over a figure that was measured alike") {
  Manifest organ = measured();
  const CiPolicy policy = demanding({.improves_on = "recipient_untouched"});
  CHECK(said(judge_evaluations(organ, policy)) == "passed");
  organ.evaluations[1].nll = 3;
  CHECK(said(judge_evaluations(organ, policy)) == "nll is 3, that of recipient_untouched is 3");
  organ = measured();
  organ.evaluations[1].conditions->chose_weights = true;  // of the organ's figure alone, by nature
  CHECK(said(judge_evaluations(organ, policy)) == "passed");
  const std::string other = "no figure of recipient_untouched was measured alike";
  organ.evaluations[1].conditions->precision = "bf16";
  CHECK(said(judge_evaluations(organ, policy)) == other);
  organ = measured();
  organ.evaluations[1].stride = 256;
  CHECK(said(judge_evaluations(organ, policy)) == other);
  organ = measured();
  organ.evaluations[1].tokens = 10;
  CHECK(said(judge_evaluations(organ, policy)) == other);
  organ = measured();
  organ.evaluations.push_back(figure("recipient_untouched", 1.5));  // each that was measured alike
  CHECK(said(judge_evaluations(organ, policy)) == "nll is 2, that of recipient_untouched is 1.5");
  organ = measured();
  organ.evaluations[1].dataset_digest = sha256("other");
  CHECK(said(judge_evaluations(organ, policy)) == other);
  organ = measured();
  organ.evaluations[1].tokenizer_digest = sha256("tokenizer");
  CHECK(said(judge_evaluations(organ, policy)) == other);
}

TEST_CASE("CI rules: figures are of data that training did not see") {
  CiPolicy policy;
  CHECK(said(judge_memorisation(Manifest(), policy)) == "skipped");
  Manifest organ = measured();
  CHECK(said(judge_memorisation(organ, policy)) == "passed");
  organ.training = format::TrainingRecord();  // of which nobody says what it saw
  CHECK(said(judge_memorisation(organ, policy)) == "skipped");
  organ.training.reset();
  format::record_overlap({13, 0.1, sha256("law")}, organ);
  CHECK(said(judge_memorisation(organ, policy)) == "passed");
  format::record_overlap({13, 0.125, sha256("law")}, organ);
  CHECK(said(judge_memorisation(organ, policy)) ==
        "12.5 % of its sequences of 13 tokens were trained on, at most 10.0 % are allowed");
  policy.max_overlap = 0.5;
  organ.training = format::TrainingRecord();
  organ.training->data = {{"law.txt", sha256("law"), 10, std::nullopt}};
  CHECK(said(judge_memorisation(organ, policy)) ==
        "was measured on data that it was trained on; was measured on data that it was trained on");
  organ.training->data[0].digest = sha256("lore");
  organ.evaluations[1].conditions->chose_weights = true;
  CHECK(said(judge_memorisation(organ, policy)) == "passed");
  policy.allow_chosen_weights = false;
  CHECK(said(judge_memorisation(organ, policy)) == "the weights were chosen by this very figure");
}

TEST_CASE("CI rules: an overlap that is none is corrupt") {
  Manifest organ;
  for (const char* text :
       {R"({"held_out_overlap":1})", R"({"held_out_overlap":{"gram_tokens":13,"share":2}})",
        R"({"held_out_overlap":{"dataset_digest":"x","gram_tokens":13,"share":0}})"}) {
    organ.extensions = JsonText::parse(text);
    CHECK_THROWS_AS(judge_memorisation(organ, {}), Error);
  }
  const auto digest = sha256("law").to_string();
  organ.extensions = JsonText::parse(R"({"held_out_overlap":{"gram_tokens":13,"share":-0.5,)"
                                     R"("dataset_digest":")" +
                                     digest + "\"}}");
  CHECK_THROWS_AS(judge_memorisation(organ, {}), Error);
  organ.extensions = JsonText::parse(R"({"held_out_overlap":{"gram_tokens":0,"share":0,)"
                                     R"("dataset_digest":")" +
                                     digest + "\"}}");
  CHECK_THROWS_AS(judge_memorisation(organ, {}), Error);
}
