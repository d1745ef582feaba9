// SPDX-License-Identifier: Apache-2.0
#include "train/evaluate/evaluation.h"

#include "tests/train/support/doctest.h"

#include <cmath>
#include <optional>
#include <span>
#include <vector>

#include <ATen/ops/full.h>

#include "tests/support/support.h"
#include "tests/train/support/fixture.h"
#include "tests/train/support/ids_file.h"
#include "train/evaluate/internal/evaluate.h"
#include "train/passes/run_layers.h"
#include "train/tokenizer/tokenizer.h"

namespace organ::test {
namespace {

using train::Dataset;
using train::evaluate;
using train::EvaluationOptions;
using train::EvaluationResult;
using train::Model;
using train::Protocol;

Dataset dataset_of(const at::Tensor& ids, std::uint64_t vocabulary,
                   std::optional<std::int32_t> padding_id = std::nullopt) {
  const auto length = static_cast<std::size_t>(ids.size(1));
  return test::dataset_of(
      std::span(ids.const_data_ptr<std::int64_t>(), static_cast<std::size_t>(ids.numel())), length,
      vocabulary, padding_id);
}

struct Case {
  Fixture fixture;
  Model model;
  Dataset data;
  explicit Case(const std::string& name)
      : fixture(name),
        model(Model::load(fixture.checkpoint, {})),
        data(dataset_of(fixture.reference.at("ids"),
                        static_cast<std::uint64_t>(model.vocab_size()))) {}

  // -ln p of the last token of ids[first..last], seen from `first` on.
  double score_of(std::int64_t first, std::int64_t last) {
    train::Batch batch;
    batch.rows = 1;
    batch.length = last - first;
    const at::Tensor all = fixture.batch.ids;
    batch.ids = all.narrow(0, first, batch.length).contiguous();
    batch.targets = at::full({batch.length}, -1, at::kLong);
    batch.targets[batch.length - 1] = all[last];
    const at::Tensor x = train::run_model(model, batch);
    return model.head_loss(x, batch).nll;
  }
};

// The fixture's rows with padding: the first keeps 5 tokens, the second all but 2.
struct Padded : Case {
  std::int64_t length = fixture.batch.length;
  std::vector<std::int64_t> kept = {5, length - 2};
  at::Tensor ids = fixture.reference.at("ids").clone();
  Dataset documents = [this] {
    for (std::int64_t row = 0; row < 2; ++row) ids[row].slice(0, kept[row]).fill_(0);
    return dataset_of(ids, static_cast<std::uint64_t>(model.vocab_size()), 0);
  }();

  Padded() : Case("llama") {}

  EvaluationResult under(Protocol protocol) {
    return evaluate(model, documents,
                    {.protocol = protocol, .context = length, .stride = length, .batch_rows = 1});
  }
  // The loss of each position of whole rows for the given targets [2, length], -1 for none.
  at::Tensor losses(const at::Tensor& targets) {
    train::Batch batch;
    batch.rows = 2;
    batch.length = length;
    batch.ids = ids.flatten();
    batch.targets = targets.flatten().contiguous();
    const at::Tensor x = train::run_model(model, batch);
    at::Tensor per_token;
    model.head_loss(x, batch, 1.0, nullptr, &per_token);
    return per_token.view({2, length}).to(at::kDouble);
  }
  // The id `distance` positions on; -1 beyond `ends` of each row.
  at::Tensor targets(std::int64_t distance, const std::vector<std::int64_t>& ends) const {
    at::Tensor result = at::full({2, length}, -1, at::kLong);
    for (std::int64_t row = 0; row < 2; ++row) {
      for (std::int64_t i = 0; i + distance < ends[row]; ++i) {
        result[row][i] = ids[row][i + distance];
      }
    }
    return result;
  }
};

double sum_of(const at::Tensor& losses) { return losses.sum().item<double>(); }

}  // namespace

TEST_CASE("P0 leaves padding out, P1 counts it") {
  Padded c;
  const EvaluationResult sound = evaluate(c.model, c.documents, {.context = 64, .stride = 64});
  const at::Tensor real = c.losses(c.targets(1, c.kept));
  CHECK(sound.targets == c.kept[0] + c.kept[1] - 2);
  CHECK(sound.nll_sum == doctest::Approx(sum_of(real)).epsilon(1e-5));
  const EvaluationResult wrong = c.under(Protocol::p1);
  const at::Tensor all = c.losses(c.targets(1, {c.length, c.length}));
  CHECK(wrong.targets == 2 * c.length - 2);
  CHECK(wrong.nll_sum == doctest::Approx(sum_of(all)).epsilon(1e-5));
  CHECK(wrong.padding.targets == wrong.targets - sound.targets);
  CHECK(wrong.padding.nll == doctest::Approx(sum_of(all) - sum_of(real)).epsilon(1e-5));
  // exp(f * NLL_real + (1 - f) * NLL_pad)
  const double f = static_cast<double>(sound.targets) / static_cast<double>(wrong.targets);
  const double pads = wrong.padding.nll / static_cast<double>(wrong.padding.targets);
  CHECK(wrong.perplexity() ==
        doctest::Approx(std::exp(f * sound.nll() + (1 - f) * pads)).epsilon(1e-5));
  CHECK_FALSE(wrong.bits_per_byte(c.documents).has_value());
}

TEST_CASE("P2 averages perplexities, P6 the means of batches") {
  Padded c;
  const at::Tensor sums = c.losses(c.targets(1, c.kept)).sum(1);
  const double first = sums[0].item<double>() / static_cast<double>(c.kept[0] - 1);
  const double second = sums[1].item<double>() / static_cast<double>(c.kept[1] - 1);
  CHECK(c.under(Protocol::p2).perplexity() ==
        doctest::Approx((std::exp(first) + std::exp(second)) / 2).epsilon(1e-5));
  CHECK(c.under(Protocol::p6).nll() == doctest::Approx((first + second) / 2).epsilon(1e-5));
  const EvaluationResult whole = evaluate(
      c.model, c.documents,
      {.protocol = Protocol::p6, .context = c.length, .stride = c.length, .batch_rows = 2});
  CHECK(whole.nll() == doctest::Approx(whole.nll_sum / static_cast<double>(whole.targets)));
}

TEST_CASE("P3 shifts the labels twice, P4 not at all") {
  Padded c;
  const std::vector<std::int64_t> whole = {c.length, c.length};
  c.ids = c.fixture.reference.at("ids").clone();
  const auto under = [&](Protocol protocol) {
    return evaluate(c.model, c.data,
                    {.protocol = protocol, .context = c.length, .stride = c.length});
  };
  CHECK(under(Protocol::p3).targets == 2 * (c.length - 2));
  CHECK(under(Protocol::p3).nll_sum ==
        doctest::Approx(sum_of(c.losses(c.targets(2, whole)))).epsilon(1e-5));
  CHECK(under(Protocol::p4).targets == 2 * c.length);
  CHECK(under(Protocol::p4).nll_sum ==
        doctest::Approx(sum_of(c.losses(c.targets(0, whole)))).epsilon(1e-5));
}

TEST_CASE("under P5 what follows a token changes its loss") {
  Padded c;
  const EvaluationOptions options{
      .protocol = Protocol::p5, .context = c.length, .stride = c.length};
  at::Tensor other = c.fixture.reference.at("ids").clone();
  other[0][c.length - 1] = 1 - other[0][c.length - 1].clamp_max(1);
  const auto changed = dataset_of(other, static_cast<std::uint64_t>(c.model.vocab_size()));
  const auto first_part = [&](const Dataset& data, Protocol protocol) {
    EvaluationOptions chosen = options;
    chosen.protocol = protocol;
    return evaluate(c.model, data, chosen).documents[0].nll;
  };
  const EvaluationResult leaking = evaluate(c.model, c.data, options);
  CHECK(leaking.targets == 2 * (c.length - 1));
  CHECK(leaking.nll_sum !=
        doctest::Approx(
            evaluate(c.model, c.data, {.context = c.length, .stride = c.length}).nll_sum));
  CHECK(first_part(c.data, Protocol::p5) != first_part(changed, Protocol::p5));
}

TEST_CASE("a protocol without what it needs is refused") {
  Case c("llama");
  const auto refused = [&](EvaluationOptions options) {
    return error_of([&] { evaluate(c.model, c.data, options); });
  };
  CHECK(refused({.protocol = Protocol::p0w, .context = 8, .stride = 8}).find("P0w: needs a text") !=
        std::string::npos);
  CHECK(refused({.protocol = Protocol::p4, .context = 8, .stride = 4})
            .find("only P0 takes a stride") != std::string::npos);
  CHECK(refused({.protocol = Protocol::p6, .context = 8, .stride = 8, .batch_rows = 0})
            .find("batch: expected at least 1") != std::string::npos);
}

TEST_CASE("the loss of whole rows equals transformers'") {
  Case c("llama");
  const std::int64_t n = c.fixture.batch.length;
  const EvaluationResult result = evaluate(c.model, c.data, {.context = n, .stride = n});
  CHECK(result.windows == 2);
  CHECK(result.targets == 2 * (n - 1));
  // The fixture leaves one target of the first row out.
  const double left_out = c.score_of(0, 4);
  const double expected = c.fixture.reference.at("loss").item<float>() + left_out;
  CHECK(result.nll_sum == doctest::Approx(expected).epsilon(1e-6));
  CHECK(result.perplexity() ==
        doctest::Approx(std::exp(expected / static_cast<double>(2 * n - 2))));
  CHECK_FALSE(result.bits_per_byte(c.data).has_value());
}

TEST_CASE("a real model on real text has the loss that transformers gives it" *
          doctest::description("needs the shared data") *
          doctest::skip(shared_data("tinyshakespeare.txt").empty())) {
  const auto model_folder = shared_data("stories260K"), text = shared_data("tinyshakespeare.txt");
  const auto checkpoint = format::Checkpoint::open(model_folder);
  const auto tokenizer = train::Tokenizer::open(model_folder / "tokenizer.json");
  const Dataset data = Dataset::from_texts(
      {text}, tokenizer, 512, {.context = 256, .texts = {.lead_in = tokenizer.before_text()}});
  CHECK(data.stream().lead_in().size() == 1);
  Model model = Model::load(checkpoint, {});
  const EvaluationResult result =
      evaluate(model, data, {.context = 256, .stride = 256, .windows = 40});
  CHECK(result.targets == 10200);
  // tests/tools/reference_nll.py stories260K tinyshakespeare.txt --context 256 --windows 40
  CHECK(result.nll() == doctest::Approx(4.505803456025965).epsilon(1e-6));
  CHECK(result.perplexity() == doctest::Approx(90.5410605934154).epsilon(1e-5));
  CHECK(*result.bits_per_byte(data) > 1.0);
}

TEST_CASE("each token is a target once whatever the stride") {
  Case c("llama");
  for (const std::int64_t stride : {1, 3, 9}) {
    CAPTURE(stride);
    const EvaluationResult result = evaluate(c.model, c.data, {.context = 10, .stride = stride});
    CHECK(result.targets == c.data.tokens() - 2);  // two documents
    CHECK(result.documents.size() == 2);
    CHECK(result.documents[0].targets == c.fixture.batch.length - 1);
    CHECK(result.documents[0].nll + result.documents[1].nll ==
          doctest::Approx(result.nll_sum).epsilon(1e-6));
  }
}

TEST_CASE("a stride of one scores each token with the longest context that fits") {
  Case c("mistral");
  double expected = 0;
  const std::int64_t n = c.fixture.batch.length, context = 6;
  for (std::int64_t row = 0; row < 2; ++row) {
    for (std::int64_t t = 1; t < n; ++t) {
      expected += c.score_of(row * n + std::max<std::int64_t>(0, t - context + 1), row * n + t);
    }
  }
  const EvaluationResult result = evaluate(c.model, c.data, {.context = context, .stride = 1});
  CHECK(result.nll_sum == doctest::Approx(expected).epsilon(1e-5));
}

TEST_CASE("how many tokens are computed at once changes nothing but rounding") {
  Case c("qwen2");
  const EvaluationResult one =
      evaluate(c.model, c.data, {.context = 8, .stride = 8, .batch_tokens = 1});
  std::int64_t last_done = 0;
  const EvaluationResult all = evaluate(
      c.model, c.data,
      {.context = 8,
       .stride = 8,
       .batch_tokens = 1000,
       .progress = [&](std::int64_t done, std::int64_t total) { last_done = done * 100 + total; }});
  CHECK(one.targets == all.targets);
  CHECK(one.nll_sum == doctest::Approx(all.nll_sum).epsilon(1e-6));
  CHECK(last_done == 606);
  const auto measured = [&](std::int64_t windows) {
    return evaluate(c.model, c.data, {.context = 8, .stride = 8, .windows = windows});
  };
  CHECK(measured(2).targets == 14);
  CHECK(recorded_reading(c.data, measured(2)).first_windows == 2);
  // As many as there are, or more, are all of them.
  const std::int64_t count = measured(0).windows;
  for (const std::int64_t windows : {count, count + 1}) {
    CHECK(recorded_reading(c.data, measured(windows)) == recorded_reading(c.data));
  }
  CHECK(test::error_of([&] { (void)measured(-1); }).starts_with("invalid_argument: windows"));
}

TEST_CASE("windows that cannot be are refused") {
  Case c("llama");
  const auto refused = [&](EvaluationOptions options) {
    return error_of([&] { evaluate(c.model, c.data, options); });
  };
  CHECK(refused({.context = 1, .stride = 1}).find("invalid_argument: context: expected at least") ==
        0);
  CHECK(refused({.context = 8, .stride = 0}).find("invalid_argument: stride: expected 1..8") == 0);
  CHECK(refused({.context = 8, .stride = 9}).find("got 9") != std::string::npos);
}

}  // namespace organ::test
