// SPDX-License-Identifier: Apache-2.0
// Whole models off the CPU: against transformers in fp32, against the CPU in bf16.
#include "tests/train/support/doctest.h"

#include <algorithm>

#include "tests/support/test_device.h"
#include "tests/train/support/fixture.h"
#include "tests/train/support/model_checks.h"
#include "train/generate/generation.h"
#include "train/layers/key_values.h"
#include "train/model/decode_cache.h"
#include "train/passes/run_layers.h"

namespace organ::test {
namespace {

using train::Model;
using train::Precision;

Model load(const Fixture& fixture, Precision precision, at::Device device) {
  return Model::load(fixture.checkpoint, {.precision = precision, .device = device});
}

}  // namespace

TEST_CASE("on a device layers, logits, loss and gradients equal transformers' in fp32") {
  for_each_stack([](const Fixture& fixture) {
    Model model = load(fixture, Precision::fp32, test_device());
    check_values(model, fixture);
    check_gradients(model, fixture);
  });
}

TEST_CASE("on a device bf16 stays as close to fp32 as transformers'") {
  for_each_stack([](const Fixture& fixture) {
    Model model = load(fixture, Precision::bf16, test_device());
    check_rounded_values(model, fixture);
    check_rounded_gradients(model, fixture);
  });
}

TEST_CASE("on a device documents packed in one row equal separate rows") {
  for (const char* name : {"llama", "mistral", "gpt2", "gpt_oss"}) {
    CAPTURE(name);
    const Fixture fixture(name);
    const std::int64_t n = fixture.batch.length;
    train::Batch packed{1, 2 * n, 0, fixture.batch.ids, fixture.batch.targets, {}, {}};
    packed.first_key = at::cat({at::zeros({n}, at::kInt), at::full({n}, n, at::kInt)});
    Model apart = load(fixture, Precision::fp32, test_device());
    Model together = load(fixture, Precision::fp32, test_device());
    const FullPass expected(apart, fixture.batch), pass(together, packed);
    CHECK(pass.loss.nll == doctest::Approx(expected.loss.nll).epsilon(1e-5));
    CHECK(relative_error(pass.input_gradient.cpu(), expected.input_gradient.cpu()) < 1e-3);
  }
}

TEST_CASE("on a device decoding one position at a time equals the whole text at once") {
  for (const char* name : {"llama", "llama_dynamic", "gpt2", "gpt_oss"}) {
    CAPTURE(name);
    const Fixture fixture(name);
    Model model = load(fixture, Precision::fp32, test_device());
    Model host = load(fixture, Precision::fp32, at::kCPU);
    train::DecodeCache cache, host_cache;
    const auto* ids = fixture.batch.ids.const_data_ptr<std::int64_t>();
    for (std::int64_t i = 0; i < std::min<std::int64_t>(fixture.batch.length, 24); ++i) {
      const at::Tensor ours = model.logits(model.decode({ids[i]}, cache), {0});
      const at::Tensor expected = host.logits(host.decode({ids[i]}, host_cache), {0});
      CHECK(relative_error(ours, expected) < 1e-4);
    }
  }
}

TEST_CASE("on a device per-token losses come back to the CPU") {
  const Fixture fixture("llama");
  Model model = load(fixture, Precision::fp32, test_device());
  const at::Tensor x = train::run_model(model, fixture.batch);
  at::Tensor per_token;
  const train::LossSum sum = model.head_loss(x, fixture.batch, 1.0, nullptr, &per_token);
  CHECK(per_token.is_cpu());
  CHECK(per_token.sum().item<double>() == doctest::Approx(sum.nll).epsilon(1e-5));
}

}  // namespace organ::test
