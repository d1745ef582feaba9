// SPDX-License-Identifier: Apache-2.0
#include "train/probes/model_probes.h"

#include "tests/train/support/doctest.h"

#include <ATen/ATen.h>
#include <nlohmann/json.hpp>

#include "format/base/file.h"
#include "tests/support/checkpoint_maker.h"
#include "tests/support/data.h"
#include "tests/support/support.h"
#include "tests/train/support/fixture.h"
#include "train/data/task.h"

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
      const bool masked = train::task_of(model.architecture()) == train::Task::hidden_tokens;
      CHECK(findings.size() == (masked ? 6 : 7));
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

TEST_CASE("tokens that are not hidden from a masked model are found") {
  const Fixture fixture("bert");
  Model model = Model::load(fixture.checkpoint, {});
  train::Batch shown = fixture.batch;
  train::Batch next = fixture.batch;
  shown.targets = shown.ids.clone();
  next.targets = at::cat({next.ids.narrow(0, 1, next.tokens() - 1), at::full({1}, -1, at::kLong)});
  for (const train::Batch& batch : {shown, next}) {
    const auto findings = run_probes(model, {0, model.layer_count()}, batch);
    REQUIRE(failed(findings) != nullptr);
    CHECK(failed(findings)->name == "hidden");
  }
}

TEST_CASE("labels that are shifted twice are found") {
  const Fixture fixture("llama");
  Model model = Model::load(fixture.checkpoint, {});
  train::Batch late = fixture.batch;
  const std::int64_t n = late.tokens();
  late.targets = at::full({n}, -1, at::kLong);
  late.targets.narrow(0, 0, n - 2).copy_(late.ids.narrow(0, 2, n - 2));
  const auto findings = run_probes(model, {0, 3}, late);
  const ProbeFinding* bad = failed(findings);
  REQUIRE(bad != nullptr);
  CHECK(bad->name == "shift");
}

// A token that goes to another expert leaves that expert's product with other rows, whose sums then
// run in another order: at real widths, not at those of the fixtures.
TEST_CASE("experts of real width are causal up to rounding") {
  const TempFolder folder = scratch();
  nlohmann::json config =
      nlohmann::json::parse(read_file(test_data() / "train" / "gpt_oss" / "config.json", 1 << 20));
  config.update({{"hidden_size", 256},
                 {"intermediate_size", 256},
                 {"num_local_experts", 32},
                 {"num_experts_per_tok", 4},
                 {"num_hidden_layers", 2},
                 {"head_dim", 32},
                 {"num_attention_heads", 8},
                 {"num_key_value_heads", 4},
                 {"vocab_size", 257},
                 {"tie_word_embeddings", true},
                 {"layer_types", {"full_attention", "full_attention"}},
                 {"max_position_embeddings", 128}});
  make_checkpoint(folder.path() / "model", config);
  const auto checkpoint = format::Checkpoint::open(folder.path() / "model");
  Model model = Model::load(checkpoint, {});
  double largest = 0;
  for (int seed = 0; seed < 12; ++seed) {
    at::manual_seed(static_cast<std::uint64_t>(seed));
    train::Batch batch;
    batch.rows = 1;
    batch.length = 64;
    batch.ids = at::randint(0, 257, {64}, at::kLong);
    batch.targets = at::cat({batch.ids.narrow(0, 1, 63), at::full({1}, -1, at::kLong)});
    const auto findings = run_probes(model, {0, 2}, batch);
    const ProbeFinding* bad = failed(findings);
    CHECK_MESSAGE(bad == nullptr, (bad ? bad->name + ": " + std::to_string(bad->measured) : ""));
    for (const ProbeFinding& finding : findings) {
      if (finding.name != "causality") continue;
      largest = std::max(largest, finding.measured);
      CHECK(finding.limit > 0);
    }
  }
  MESSAGE("largest change of a logit: " << largest);
}

TEST_CASE("attention that is not causal is found") {
  for (const std::string& name : fixture_names()) {
    CAPTURE(name);
    const Fixture fixture(name);
    Model model = Model::load(fixture.checkpoint, {});
    // Elsewhere nothing is causal, or end_key says nothing about what is.
    if (train::task_of(model.architecture()) != train::Task::next_token) continue;
    train::Batch seeing = fixture.batch;
    seeing.end_key = at::full({seeing.tokens()}, seeing.length, at::kInt);
    const auto findings = run_probes(model, {0, model.layer_count()}, seeing);
    const ProbeFinding* bad = failed(findings);
    REQUIRE(bad != nullptr);
    CHECK(bad->name == "causality");
  }
}

TEST_CASE("a row that is mostly padding is tested where its text is") {
  const Fixture fixture("llama");
  Model model = Model::load(fixture.checkpoint, {});
  train::Batch row = fixture.batch;
  constexpr std::int64_t kText = 6;
  REQUIRE(kText < row.length / 2);
  row.ids = row.ids.clone();
  row.ids.narrow(0, kText, row.length - kText).fill_(0);
  row.targets = at::full({row.tokens()}, -1, at::kLong);
  row.targets.narrow(0, 0, kText - 1).copy_(row.ids.narrow(0, 1, kText - 1));
  CHECK(failed(run_probes(model, {0, 3}, row)) == nullptr);
  row.end_key = at::full({row.tokens()}, kText, at::kInt);  // its tokens see each other
  const auto findings = run_probes(model, {0, 3}, row);
  const ProbeFinding* bad = failed(findings);
  REQUIRE(bad != nullptr);
  CHECK(bad->name == "causality");
}

TEST_CASE("padding that counts as text is found") {
  const Fixture fixture("llama");
  Model model = Model::load(fixture.checkpoint, {});
  train::Batch padded = fixture.batch;
  const std::int64_t length = padded.length;
  padded.ids = padded.ids.clone();
  padded.targets = padded.targets.clone();
  for (std::int64_t row = 0; row < padded.rows; ++row) {
    const std::int64_t pads = 10, first = (row + 1) * length - pads;
    REQUIRE(pads < length);
    padded.ids.narrow(0, first, pads).fill_(0);
    padded.targets.narrow(0, first - 1, pads).fill_(0);
  }
  const auto findings = run_probes(model, {0, 3}, padded);
  const ProbeFinding* bad = failed(findings);
  REQUIRE(bad != nullptr);
  CHECK(bad->name == "padding");
  CHECK(bad->code == ErrorCode::invalid_argument);
}

TEST_CASE("a model whose numbers are not finite fails") {
  const Fixture fixture("llama");
  Model model = Model::load(fixture.checkpoint, {});
  model.set_layer_parameters(1, at::full({model.layer_elements()}, NAN));
  const auto findings = run_probes(model, {0, 3}, fixture.batch);
  const ProbeFinding* bad = failed(findings);
  REQUIRE(bad != nullptr);
  CHECK(bad->name == "finite");
  CHECK(bad->measured > 0.9);
}

}  // namespace organ::test
