// SPDX-License-Identifier: Apache-2.0
#include "tests/train/support/doctest.h"

#include "train/passes/sequence.h"

#include <numeric>

#include "tests/support/data.h"
#include "tests/support/support.h"
#include "tests/train/support/fixture.h"
#include "tests/train/support/ids_file.h"
#include "train/evaluate/measure_checkpoint.h"

namespace organ::test {
namespace {

using train::LoadedModel;

LoadedModel load(const std::string& name) {
  return LoadedModel::load(format::Checkpoint::open(test_data() / "train" / name),
                           train::Precision::fp32, {.threads = 1});
}

// The first row of what transformers was given.
std::vector<std::int32_t> first_row(const Fixture& fixture) {
  const auto* ids = fixture.batch.ids.const_data_ptr<std::int64_t>();
  return {ids, ids + fixture.batch.length};
}

at::Tensor tensor_of(const std::vector<float>& numbers, std::int64_t width) {
  return at::tensor(numbers).view({-1, width});
}

}  // namespace

TEST_CASE("streams and logits of a sequence are transformers'") {
  for (const char* name : {"llama", "gpt2", "gpt_oss"}) {
    CAPTURE(name);
    const Fixture fixture(name);
    const LoadedModel model = load(name);
    const auto ids = first_row(fixture);
    const auto length = static_cast<std::int64_t>(ids.size());
    for (std::int64_t layer = 0; layer < model.layer_count(); ++layer) {
      CAPTURE(layer);
      const auto expected = fixture.reference.find("hidden." + std::to_string(layer));
      REQUIRE(expected != fixture.reference.end());
      const auto stream = train::stream_of(model, ids, static_cast<std::uint64_t>(layer));
      CHECK(relative_error(
                tensor_of(stream, model.hidden_size()),
                expected->second.reshape({-1, model.hidden_size()}).slice(0, 0, length)) < 1e-4);
    }
    std::vector<std::uint64_t> places(ids.size());
    std::iota(places.begin(), places.end(), 0);
    const auto logits = train::logits_of(model, ids, places);
    REQUIRE(static_cast<std::int64_t>(logits.size()) == length * model.vocab_size());
    CHECK(
        relative_error(
            tensor_of(logits, model.vocab_size()),
            fixture.reference.at("logits").reshape({-1, model.vocab_size()}).slice(0, 0, length)) <
        1e-4);
    const std::vector<std::uint64_t> last = {ids.size() - 1, 0};
    const auto two = tensor_of(train::logits_of(model, ids, last), model.vocab_size());
    CHECK(relative_error(two[1], tensor_of(logits, model.vocab_size())[0]) < 1e-5);
    CHECK(train::logits_of(model, ids, {}).empty());
  }
}

TEST_CASE("the losses of a sequence add up to the figure of its window") {
  const Fixture fixture("llama");
  const LoadedModel model = load("llama");
  const auto ids = first_row(fixture);
  const auto losses = train::losses_of(model, ids);
  REQUIRE(losses.size() == ids.size() - 1);
  const train::Dataset data =
      dataset_of(std::vector<std::int64_t>(ids.begin(), ids.end()), ids.size(),
                 fixture.checkpoint.architecture().vocab_size());
  const auto figure =
      train::measure_model(model, data, {.context = data.context(), .stride = data.context()});
  CHECK(std::accumulate(losses.begin(), losses.end(), 0.0) ==
        doctest::Approx(figure.result.nll_sum).epsilon(1e-6));
  CHECK(train::losses_of(model, std::vector<std::int32_t>{1}).empty());
}

TEST_CASE("sequences that a model cannot take are refused") {
  const LoadedModel llama = load("llama"), bert = load("bert"), t5 = load("t5");
  const auto vocabulary = static_cast<std::int32_t>(llama.vocab_size());
  const auto refused = [](const LoadedModel& model, const std::vector<std::int32_t>& ids,
                          std::uint64_t layer = 0) {
    return error_of([&] { (void)train::stream_of(model, ids, layer); });
  };
  CHECK(refused(llama, {}).starts_with("invalid_argument: sequence: 0 ids are out of range"));
  const std::vector<std::int32_t> endless(llama.checkpoint().architecture().max_positions() + 1, 1);
  CHECK(refused(llama, endless).starts_with("invalid_argument: sequence: "));
  CHECK(refused(llama, {1, -1}).starts_with("invalid_argument: position 1: token id -1"));
  CHECK(refused(llama, {vocabulary}).starts_with("invalid_argument: position 0: token id "));
  const auto layers = static_cast<std::uint64_t>(llama.layer_count());
  CHECK(refused(llama, {1}, layers) == "no error");
  CHECK(refused(llama, {1}, layers + 1).starts_with("invalid_argument: layer "));
  CHECK(refused(llama, {1}, UINT64_MAX).starts_with("invalid_argument: layer "));
  CHECK(refused(t5, {1}).starts_with("incompatible: family 't5' reads two texts"));
  const std::vector<std::int32_t> ids = {1, 2};
  const std::vector<std::uint64_t> beyond = {2};
  CHECK(error_of([&] {
          (void)train::logits_of(llama, ids, beyond);
        }).starts_with("invalid_argument: place 2 is out of range"));
  CHECK(error_of([&] {
          (void)train::losses_of(bert, ids);
        }).starts_with("incompatible: family 'bert' sees the ids that follow"));
  CHECK(error_of([&] {
          (void)train::losses_of(llama, std::vector<std::int32_t>());
        }).starts_with("invalid_argument: sequence: 0 ids"));
}

}  // namespace organ::test
