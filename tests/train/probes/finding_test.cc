// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include <doctest/doctest.h>

#include "train/probes/finding.h"

namespace organ::train {
namespace {

TEST_CASE("findings that passed make one line, which names each test once") {
  const std::vector<ProbeFinding> findings = {
      make_finding("causality", 0, 0, "changed logits"),
      make_finding("padding", 0.01, 0.05, "repeated ids"),
      make_finding("padding", 0, 1e-6, "loss with padding")};
  CHECK(all_passed(findings));
  CHECK(describe_passed(findings) == "self-tests passed: causality, padding");
}

TEST_CASE("one finding that failed, or is not a number, is not all passed") {
  const auto good = make_finding("uniform", 0, 1e-6, "distance");
  CHECK_FALSE(all_passed({good, make_finding("shift", 2, 1, "targets that are not the next id")}));
  CHECK_FALSE(all_passed({make_finding("padding", std::nan(""), 1, "loss with padding"), good}));
}

}  // namespace
}  // namespace organ::train
