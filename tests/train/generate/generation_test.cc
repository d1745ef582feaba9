// SPDX-License-Identifier: Apache-2.0
#include "tests/train/support/doctest.h"

#include "train/generate/generation.h"

#include <fstream>
#include <numeric>

#include "tests/support/support.h"
#include "tests/train/support/fixture.h"
#include "train/data/task.h"
#include "train/layers/key_values.h"
#include "train/model/decode_cache.h"
#include "train/passes/batches.h"
#include "train/passes/run_layers.h"
#include "train/positions/batch.h"

namespace organ::test {
namespace {

using train::DecodeCache;
using train::Generator;
using train::Model;

std::vector<std::int64_t> first_row(const Fixture& fixture) {
  const auto* ids = fixture.batch.ids.const_data_ptr<std::int64_t>();
  return {ids, ids + fixture.batch.length};
}

bool is_causal(const Fixture& fixture) {
  return train::task_of(fixture.checkpoint.architecture()) == train::Task::next_token;
}

// Logits of every position of a sequence, computed at once.
at::Tensor whole_logits(Model& model, const std::vector<std::int64_t>& ids,
                        std::int64_t source = 0) {
  train::Batch batch = train::one_sequence(ids);
  batch.source = source;
  const at::Tensor x = train::run_model(model, batch);
  return model.logits(x, {batch.length - 1});
}

at::Tensor next_logits(Model& model, const std::vector<std::int64_t>& ids, DecodeCache& cache) {
  const at::Tensor x = model.decode(ids, cache);
  return model.logits(x, {x.size(0) - 1});
}

}  // namespace

TEST_CASE("decoding with a cache gives the logits of the whole sequence") {
  for (const std::string& name : fixture_names()) {
    CAPTURE(name);
    const Fixture fixture(name);
    if (!is_causal(fixture)) continue;
    const auto ids = first_row(fixture);
    // A prompt of several positions, then pieces of one and more.
    for (const std::size_t prompt : {std::size_t{1}, std::size_t{3}, ids.size() / 2}) {
      Model model = Model::load(fixture.checkpoint, {});
      DecodeCache cache;
      for (std::size_t done = 0; done < ids.size();) {
        const std::size_t count = done == 0 ? prompt : done % 5 == 0 ? 2 : 1;
        const std::size_t end = std::min(ids.size(), done + count);
        const at::Tensor cached = next_logits(model,
                                              {ids.begin() + static_cast<std::ptrdiff_t>(done),
                                               ids.begin() + static_cast<std::ptrdiff_t>(end)},
                                              cache);
        CAPTURE(end);
        const at::Tensor expected =
            whole_logits(model, {ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(end)});
        CHECK(relative_error(cached, expected) < 1e-4);
        done = end;
      }
      CHECK(cache.length() == static_cast<std::int64_t>(ids.size()));
    }
  }
}

TEST_CASE("decoding a target with a cache gives the logits of source and target together") {
  for (const char* name : {"t5", "t5_gated", "t5_odd"}) {
    CAPTURE(name);
    const Fixture fixture(name);
    const auto ids = first_row(fixture);
    const auto middle = ids.begin() + fixture.batch.source;
    Model model = Model::load(fixture.checkpoint, {});
    for (const std::size_t prompt : {std::size_t{1}, std::size_t{3}}) {
      DecodeCache cache;
      model.read_source({ids.begin(), middle}, cache);
      for (auto done = middle; done < ids.end();) {
        const auto count = static_cast<std::ptrdiff_t>(done == middle ? prompt : 1);
        const auto end = done + std::min(count, ids.end() - done);
        const at::Tensor cached = next_logits(model, {done, end}, cache);
        const at::Tensor expected = whole_logits(model, {ids.begin(), end}, fixture.batch.source);
        CHECK(relative_error(cached, expected) < 1e-4);
        done = end;
      }
      CHECK(cache.length() == ids.end() - middle);
    }
  }
}

TEST_CASE("a sequence whose last positions did not run does not go on") {
  Model model = Model::load(Fixture("llama").checkpoint, {});
  DecodeCache cache;
  (void)model.decode({1, 2}, cache);
  CHECK(error_of([&] { (void)model.decode({1 << 30}, cache); }).starts_with("invalid_argument"));
  CHECK(error_of([&] { (void)model.decode({3}, cache); }) ==
        "internal: internal error: a sequence whose last positions did not run has no next one");
}

TEST_CASE("greedy generation takes the most likely token of the whole sequence each time") {
  const Fixture fixture("llama");
  Model model = Model::load(fixture.checkpoint, {});
  Generator generator(fixture.checkpoint, train::Precision::fp32, {.threads = 1});
  std::vector<std::int64_t> sequence = {1, 2, 3};
  std::vector<std::int32_t> seen;
  const auto result =
      generator.run(std::vector<std::int32_t>{1, 2, 3}, {.max_tokens = 8}, [&](std::int32_t id) {
        seen.push_back(id);
        return true;
      });
  CHECK(seen == result.ids);
  CHECK(result.ids.size() == 8);
  CHECK_FALSE(result.stopped);
  for (const std::int32_t id : result.ids) {
    CHECK(whole_logits(model, sequence).argmax().item<std::int64_t>() == id);
    sequence.push_back(id);
  }
}

TEST_CASE("a stop id ends the text and does not belong to it, and so does the listener") {
  const Fixture fixture("llama");
  Generator generator(fixture.checkpoint, train::Precision::fp32, {.threads = 1});
  const std::vector<std::int32_t> prompt = {4, 5};
  const auto keep = [](std::int32_t) { return true; };
  const auto all = generator.run(prompt, {.max_tokens = 6}, keep);
  std::size_t at = 1;
  while (at < 5 && std::count(all.ids.begin(), all.ids.begin() + at, all.ids[at]) > 0) ++at;
  const auto stopped = generator.run(prompt, {.max_tokens = 6, .stop_ids = {all.ids[at]}}, keep);
  CHECK(stopped.stopped);
  CHECK(stopped.ids == std::vector(all.ids.begin(), all.ids.begin() + at));
  const auto ended = generator.run(prompt, {.max_tokens = 6}, [](std::int32_t) { return false; });
  CHECK(ended.ids.size() == 1);
  CHECK_FALSE(ended.stopped);
}

TEST_CASE("a model that only fills in hidden tokens generates none") {
  for (const char* name : {"bert", "bert_odd"}) {
    const Fixture fixture(name);
    const std::string error =
        error_of([&] { Generator(fixture.checkpoint, train::Precision::fp32, {.threads = 1}); });
    CHECK(error.find("incompatible: family ") == 0);
    CHECK(error.find("does not continue one") != std::string::npos);
  }
}

TEST_CASE("prompts and lengths the model cannot take are refused") {
  const Fixture fixture("llama");
  Generator generator(fixture.checkpoint, train::Precision::fp32, {.threads = 1});
  const auto error = [&](std::vector<std::int32_t> prompt, std::uint64_t max_tokens) {
    return error_of([&] {
      generator.run(prompt, {.max_tokens = max_tokens}, [](std::int32_t) { return true; });
    });
  };
  CHECK(error({}, 1) == "invalid_argument: the prompt holds no token");
  CHECK(error({1}, 0).find("--max-tokens: 0 is out of range") != std::string::npos);
  CHECK(error({1}, UINT64_MAX).find("is out of range") != std::string::npos);
  CHECK(error({-1}, 1).find("token id -1") != std::string::npos);
}

}  // namespace organ::test
