// SPDX-License-Identifier: Apache-2.0
#include "train/evaluation.h"

#include "tests/train/doctest.h"

#include <cmath>

#include "format/safetensors.h"
#include "tests/support/support.h"
#include "tests/train/fixture.h"
#include "train/tokenizer/tokenizer.h"

namespace organ::test {
namespace {

using train::Dataset;
using train::evaluate;
using train::EvaluationOptions;
using train::EvaluationResult;
using train::Model;

// A data set of rows of ids, by way of the file format that `--ids` takes.
Dataset dataset_of(const at::Tensor& ids, std::uint64_t vocabulary) {
  const TempFolder folder = scratch();
  const auto path = folder.path() / "ids.safetensors";
  const std::vector<std::byte> bytes(static_cast<const std::byte*>(ids.data_ptr()),
                                     static_cast<const std::byte*>(ids.data_ptr()) + ids.nbytes());
  format::TensorInfo info{
      "ids",
      format::DType::I64,
      {static_cast<std::uint64_t>(ids.size(0)), static_cast<std::uint64_t>(ids.size(1))},
      0,
      ids.nbytes()};
  AtomicFile file(path);
  format::write_safetensors(file.fd(), {format::memory_source(info, bytes)}, {}, "ids");
  file.commit();
  return Dataset::from_ids(path, vocabulary);
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
    at::Tensor x = model.embed(batch);
    for (std::int64_t i = 0; i < model.layer_count(); ++i) {
      x = model.forward_layer(i, x, batch, nullptr);
    }
    return model.head_loss(x, batch).nll;
  }
};

}  // namespace

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
  const Dataset data = Dataset::from_texts({text}, tokenizer, 512, {.context = 256});
  Model model = Model::load(checkpoint, {});
  const EvaluationResult result =
      evaluate(model, data, {.context = 256, .stride = 256, .windows = 40});
  CHECK(result.targets == 10200);
  // tests/tools/reference_nll.py stories260K tinyshakespeare.txt --context 256 --windows 40
  CHECK(result.nll() == doctest::Approx(4.503105971392463).epsilon(1e-6));
  CHECK(result.perplexity() == doctest::Approx(90.29715658531637).epsilon(1e-5));
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
  CHECK(evaluate(c.model, c.data, {.context = 8, .stride = 8, .windows = 2}).targets == 14);
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
