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
  for (const char* text :
       {"", "evaluation", "evaluation:", "evaluation:,", "evaluation:nll<=2,", "evaluation:nll<2",
        "evaluation:nll=2", "evaluation:nll>=2", "evaluation:tokens<=2",
        "evaluation:nll<=", "evaluation:nll<=NaN", "evaluation:nll<=[1]", "evaluation:nll<=-1",
        "evaluation:nll<=1,nll<=2", "evaluation:tokens>=1.5", "evaluation:subject=me",
        "evaluation:protocol=", "evaluation:dataset=sha256:ab", "compatibility:nll<=2"}) {
    CAPTURE(text);
    CHECK(test::error_of([&] { parse_demand(text); }).starts_with("invalid_argument: --require"));
  }
}

TEST_CASE("--require: without a figure nothing is met") {
  const auto shortfalls = judge_demand({}, parse_demand("evaluation:nll<=2"), "nobody says");
  REQUIRE(shortfalls.size() == 1);
  CHECK(shortfalls[0].message == "nobody says");
}
