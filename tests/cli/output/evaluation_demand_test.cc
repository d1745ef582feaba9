// SPDX-License-Identifier: Apache-2.0
#include "cli/output/evaluation_demand.h"

#include <doctest/doctest.h>

#include <string>

#include "tests/support/support.h"

using namespace organ;
using namespace organ::cli;

TEST_CASE("--require: bounds and selectors are those of organ-ci.json") {
  const std::string digest = "sha256:" + std::string(64, 'a');
  const EvaluationDemand demand = parse_demand(
      "evaluation:nll<=2.5,perplexity<=13,bits_per_byte<=1e0,tokens>=1000,subject=wrapper,"
      "protocol=P0,improves_on=recipient_untouched,dataset=" +
      digest);
  CHECK(demand.max_nll == 2.5);
  CHECK(demand.max_perplexity == 13);
  CHECK(demand.max_bits_per_byte == 1);
  CHECK(demand.min_tokens == 1000);
  CHECK(demand.subject == "wrapper");
  CHECK(demand.protocol == "P0");
  CHECK(demand.improves_on == "recipient_untouched");
  CHECK(demand.dataset_digest == Digest::parse(digest, "digest"));
}

TEST_CASE("--require: what is no condition is refused") {
  for (const char* text : {"",
                           "evaluation",
                           "evaluation:",
                           "evaluation:,",
                           "evaluation:nll<=2,",
                           "evaluation:nll<2",
                           "evaluation:nll=2",
                           "evaluation:nll>=2",
                           "evaluation:tokens<=2",
                           "evaluation:nll<=",
                           "evaluation:nll<=NaN",
                           "evaluation:nll<=null",
                           "evaluation:nll<=true",
                           "evaluation:tokens>=null",
                           "evaluation:nll<=\"2\"",
                           "evaluation:nll<=[1]",
                           "evaluation:nll<=-1",
                           "evaluation:nll<=1,nll<=2",
                           "evaluation:tokens>=1.5",
                           "evaluation:subject=me",
                           "evaluation:protocol=",
                           "evaluation:dataset=sha256:ab",
                           "compatibility:nll<=2"}) {
    CAPTURE(text);
    CHECK(test::error_of([&] { parse_demand(text); }).starts_with("invalid_argument: --require"));
  }
}

TEST_CASE("--require: without a figure nothing is met") {
  const auto shortfalls = judge_demand({}, parse_demand("evaluation:nll<=2"), "nobody says");
  REQUIRE(shortfalls.size() == 1);
  CHECK(shortfalls[0].message == "nobody says");
}

namespace {

format::Evaluation figure(const std::string& subject, double nll, std::uint64_t tokens) {
  format::Evaluation one;
  one.subject = subject;
  one.protocol = "P0";
  one.nll = nll;
  one.tokens = tokens;
  return one;
}

std::size_t shortfalls(const std::vector<StatedFigures>& statements, const char* demand) {
  return judge_demand(statements, parse_demand(demand), "nobody says").size();
}

}  // namespace

TEST_CASE("--require: one figure must meet all of it, and no other may fail it") {
  const auto good = figure("wrapper", 2, 5000), few = figure("wrapper", 1, 10);
  const char* const both = "evaluation:nll<=2,tokens>=1000";
  CHECK(shortfalls({{good}}, both) == 0);
  CHECK(shortfalls({{few}}, both) == 1);
  CHECK(shortfalls({{good}, {few}}, both) == 1);  // stated once more it is not better
  CHECK(shortfalls({{figure("wrapper", 3, 5000)}, {few}}, both) == 2);
  CHECK(shortfalls({{figure("recipient_untouched", 1, 5000)}}, both) == 1);
}

TEST_CASE("--require: what improves on something is compared within one statement") {
  const auto after = figure("after_recovery", 2.5, 100);
  const auto untouched = figure("recipient_untouched", 3, 100);
  const char* const better = "evaluation:improves_on=recipient_untouched";
  CHECK(shortfalls({{after, untouched}}, better) == 0);
  CHECK(shortfalls({{after}, {untouched}}, better) == 1);  // perhaps of another recipient
  CHECK(shortfalls({{after, figure("recipient_untouched", 2.5, 100)}}, better) == 1);
}
