// SPDX-License-Identifier: Apache-2.0
#include "train/probes.h"

#include "tests/train/doctest.h"

#include "tests/train/fixture.h"

namespace organ::test {
namespace {

using train::Model;
using train::Precision;
using train::ProbeFinding;

const ProbeFinding* failed(const std::vector<ProbeFinding>& findings) {
  for (const ProbeFinding& finding : findings) {
    if (!finding.passed) return &finding;
  }
  return nullptr;
}

}  // namespace

TEST_CASE("a sound model passes every probe, whole and as a wrapper") {
  for (const std::string& name : fixture_names()) {
    for (const Precision precision : {Precision::fp32, Precision::bf16}) {
      CAPTURE(name);
      const Fixture fixture(name);
      Model model = Model::load(fixture.checkpoint, {.precision = precision});
      const auto findings = run_probes(model, {0, model.layer_count()}, fixture.batch);
      CHECK(findings.size() == 5);
      const ProbeFinding* bad = failed(findings);
      CHECK_MESSAGE(bad == nullptr, (bad ? bad->name + ": " + std::to_string(bad->measured) : ""));
      CHECK(failed(run_probes(model, {1, 2}, fixture.batch)) == nullptr);
    }
  }
}

TEST_CASE("labels that are not shifted are found") {
  const Fixture fixture("llama");
  Model model = Model::load(fixture.checkpoint, {});
  train::Batch copying = fixture.batch;
  copying.targets = copying.ids.clone();
  const auto findings = run_probes(model, {0, 3}, copying);
  const ProbeFinding* bad = failed(findings);
  REQUIRE(bad != nullptr);
  CHECK(bad->name == "shift");
  CHECK(bad->measured > 0.9);
}

TEST_CASE("a model whose numbers are not finite fails") {
  const Fixture fixture("llama");
  Model model = Model::load(fixture.checkpoint, {});
  model.set_layer_parameters(1, at::full({model.layer_elements()}, NAN));
  const auto findings = run_probes(model, {0, 3}, fixture.batch);
  const ProbeFinding* bad = failed(findings);
  REQUIRE(bad != nullptr);
  CHECK(bad->name == "causality");
}

}  // namespace organ::test
