// SPDX-License-Identifier: Apache-2.0
// One model in memory, used for everything: each use gives the bits of a model of its own, and
// leaves the loaded one as it was.
#include "tests/train/support/doctest.h"

#include "train/model/loaded_model.h"

#include <filesystem>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include <ATen/Parallel.h>

#include "tests/support/data.h"
#include "tests/support/support.h"
#include "tests/train/support/fixture.h"
#include "tests/train/support/ids_file.h"
#include "tests/train/support/model_checks.h"
#include "train/evaluate/measure_checkpoint.h"
#include "train/generate/generation.h"
#include "train/model/adapter_binding.h"
#include "train/model/model_access.h"
#include "train/passes/run_layers.h"
#include "train/passes/sequence.h"

namespace organ::test {
namespace {

using train::LoadedModel;
using train::Model;
using train::Precision;

std::filesystem::path folder_of(const std::string& name) { return test_data() / "train" / name; }

LoadedModel load(const std::string& name, Precision precision = Precision::fp32) {
  return LoadedModel::load(format::Checkpoint::open(folder_of(name)), precision, {.threads = 1});
}

train::Dataset rows_of(const Fixture& fixture) {
  const at::Tensor& ids = fixture.reference.at("ids");
  return dataset_of({ids.const_data_ptr<std::int64_t>(), static_cast<std::size_t>(ids.numel())},
                    static_cast<std::size_t>(ids.size(1)),
                    fixture.checkpoint.architecture().vocab_size());
}

train::EvaluationOptions windows_of(const train::Dataset& data) {
  return {.context = data.context(), .stride = data.context()};
}

void check_equal(const train::Measurement& a, const train::Measurement& b) {
  CHECK(a.result.nll_sum == b.result.nll_sum);
  CHECK(a.result.targets == b.result.targets);
  CHECK(a.probes.size() == b.probes.size());
}

const std::vector<std::int32_t> kPrompt = {1, 2, 3};

std::vector<std::int32_t> greedy(train::Generator& generator) {
  return generator.run(kPrompt, {.max_tokens = 8}, [](std::int32_t) { return true; }).ids;
}

std::vector<float> last_stream(const LoadedModel& model) {
  return train::stream_of(model, kPrompt, static_cast<std::uint64_t>(model.layer_count()));
}

}  // namespace

TEST_CASE("a share computes what transformers does, whatever is bound to another one") {
  for (const std::string& name : fixture_names()) {
    CAPTURE(name);
    const Fixture fixture(name);
    const Model loaded = Model::load(fixture.checkpoint, {});
    Model first = loaded.share(), second = loaded.share();
    const at::Tensor before = train::run_model(second, fixture.batch);
    const FullPass pass(first, fixture.batch);  // binds each layer of the checkpoint's stack
    for (const at::Tensor& working : pass.working) {
      if (working.defined()) working.fill_(0.5);
    }
    CHECK_FALSE(train::run_model(first, fixture.batch).equal(before));
    CHECK(train::run_model(second, fixture.batch).equal(before));
    Model third = loaded.share();
    check_values(third, fixture);
  }
}

TEST_CASE("what is outside of the layers is a share's own too") {
  for (const char* name : {"llama", "gpt2", "llama_odd"}) {
    CAPTURE(name);
    const Fixture fixture(name);
    const Model loaded = Model::load(fixture.checkpoint, {});
    Model bound = loaded.share(), other = loaded.share();
    std::int64_t elements = 0;
    for (const auto& slot : bound.end_layout()) elements += slot.elements;
    const at::Tensor working = at::zeros({elements});
    bound.bind_ends({working, at::zeros({elements})});
    working.fill_(0.5);
    CHECK(bound.ends_train());
    CHECK_FALSE(other.ends_train());
    CHECK_FALSE(loaded.share().ends_train());
    check_values(other, fixture);
  }
}

TEST_CASE("a loaded model outlives what is made of it, and the other way round") {
  std::optional<LoadedModel> model(load("llama"));
  const format::Checkpoint* checkpoint = &model->checkpoint();
  LoadedModel moved = std::move(*model);
  model.reset();
  CHECK(&moved.checkpoint() == checkpoint);
  CHECK(std::filesystem::equivalent(moved.checkpoint().folder(), folder_of("llama")));
  CHECK(moved.precision() == Precision::fp32);
  CHECK(moved.machine().device == train::Device());
  CHECK(static_cast<std::uint64_t>(moved.vocab_size()) ==
        moved.checkpoint().architecture().vocab_size());
  std::optional<LoadedModel> gone(std::move(moved));
  train::Generator generator(*gone);
  const auto expected = greedy(generator);
  gone.reset();
  CHECK(greedy(generator) == expected);
}

TEST_CASE("a loaded model is measured and writes as one that is loaded for it alone") {
  for (const char* name : {"llama", "mistral", "gpt_oss"}) {
    for (const auto precision : {Precision::fp32, Precision::bf16}) {
      CAPTURE(name);
      const Fixture fixture(name);
      const train::Dataset data = rows_of(fixture);
      const LoadedModel model = load(name, precision);
      const auto expected = train::measure_checkpoint(fixture.checkpoint, precision, {.threads = 1},
                                                      data, windows_of(data));
      train::Generator alone(fixture.checkpoint, precision, {.threads = 1});
      const auto text = greedy(alone);
      for (int again = 0; again < 2; ++again) {
        check_equal(train::measure_model(model, data, windows_of(data)), expected);
        train::Generator generator(model);
        CHECK(greedy(generator) == text);
      }
    }
  }
}

TEST_CASE("an adapter is bound for one measurement alone") {
  const Fixture fixture("llama");
  const train::Dataset data = rows_of(fixture);
  const LoadedModel model = load("llama");
  const auto plain = train::measure_model(model, data, windows_of(data));
  for (const char* name : {"lora", "ia3", "prompt", "prefix"}) {
    CAPTURE(name);
    const auto adapter = test_data() / "adapters" / name;
    const auto expected = train::measure_checkpoint(
        fixture.checkpoint, Precision::fp32, {.threads = 1}, data, windows_of(data), adapter);
    const auto adapted = train::measure_model(model, data, windows_of(data), adapter);
    check_equal(adapted, expected);
    CHECK(adapted.result.nll_sum != plain.result.nll_sum);
    check_equal(train::measure_model(model, data, windows_of(data)), plain);
  }
}

TEST_CASE("threads use one loaded model at a time") {
  const Fixture fixture("llama");
  const train::Dataset data = rows_of(fixture);
  const LoadedModel model = load("llama");
  train::Generator alone(model);
  const auto text = greedy(alone);
  const auto figure = train::measure_model(model, data, windows_of(data)).result.nll_sum;
  const auto stream = last_stream(model);
  constexpr std::size_t kThreads = 4;
  std::vector<char> equal(kThreads, 0);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      bool all = true;
      for (int again = 0; again < 3; ++again) {
        train::Generator generator(model);
        all = all && greedy(generator) == text && last_stream(model) == stream;
        all = all && train::measure_model(model, data, windows_of(data)).result.nll_sum == figure;
      }
      equal[i] = all ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(equal == std::vector<char>(kThreads, 1));
}

TEST_CASE("a use computes on the model's threads and leaves the caller its own") {
  const LoadedModel model = load("llama");
  at::set_num_threads(3);
  train::Generator generator(model);
  int during = 0;
  (void)generator.run(kPrompt, {.max_tokens = 1}, [&](std::int32_t) {
    during = at::get_num_threads();
    return true;
  });
  CHECK(during == 1);
  CHECK(at::get_num_threads() == 3);
  (void)last_stream(model);
  CHECK(at::get_num_threads() == 3);
  at::set_num_threads(1);
}

TEST_CASE("what cannot be loaded, measured or written says so") {
  CHECK(error_of([] {
          (void)LoadedModel::load(format::Checkpoint::open(folder_of("llama")), Precision::fp32,
                                  {.device = {train::Device::Kind::cuda, -1}});
        }) == "device: kept from other devices");
  const LoadedModel bert = load("bert");
  CHECK(error_of([&] {
          train::Generator generator(bert);
        }).starts_with("incompatible: family 'bert' reads a text as a whole"));
  const Fixture fixture("llama");
  const train::Dataset data = rows_of(fixture);
  CHECK(error_of([&] { (void)train::measure_model(bert, data, windows_of(data)); }) != "no error");
}

}  // namespace organ::test
