// SPDX-License-Identifier: Apache-2.0
#include "tests/train/support/doctest.h"

#include <algorithm>
#include <cmath>

#include "tests/support/support.h"
#include "tests/train/support/fixture.h"
#include "tests/train/support/model_checks.h"
#include "train/passes/run_layers.h"

namespace organ::test {
namespace {

using train::Batch;
using train::Model;
using train::Precision;

Model load(const Fixture& fixture, Precision precision = Precision::fp32,
           std::int64_t head_chunk = 512) {
  return Model::load(fixture.checkpoint, {.precision = precision, .head_chunk = head_chunk});
}

}  // namespace

TEST_CASE("layers, logits and loss equal transformers' in fp32") {
  for (const std::string& name : fixture_names()) {
    CAPTURE(name);
    const Fixture fixture(name);
    Model model = load(fixture);
    check_values(model, fixture);
  }
}

TEST_CASE("gradients of every tensor equal transformers' autograd in fp32") {
  for_each_stack([](const Fixture& fixture) {
    Model model = load(fixture);
    check_gradients(model, fixture);
  });
}

TEST_CASE("frozen layers pass the gradient on and get none") {
  const Fixture fixture("qwen3");
  Model whole = load(fixture), part = load(fixture);
  const FullPass expected(whole, fixture.batch);
  const FullPass pass(part, fixture.batch, 2);
  CHECK_FALSE(pass.gradients[1].defined());
  CHECK(pass.gradients[2].equal(expected.gradients[2]));
  Model frozen = load(fixture);
  std::vector<train::LayerTapePtr> tapes(3);
  train::ModelBatch open = frozen.open(fixture.batch);
  at::Tensor x = frozen.embed(open), dx;
  for (int i = 0; i < 3; ++i) x = frozen.forward_layer(i, x, open, &tapes[i]);
  frozen.head_loss(x, fixture.batch, 1.0 / static_cast<double>(expected.loss.targets), &dx);
  for (int i = 2; i >= 0; --i) dx = frozen.backward_layer(i, dx, std::move(tapes[i]), open);
  CHECK(dx.equal(expected.input_gradient));
}

TEST_CASE("bf16 stays close to fp32") {
  for (const std::string& name : fixture_names()) {
    CAPTURE(name);
    const Fixture fixture(name);
    Model model = load(fixture, Precision::bf16);
    check_rounded_values(model, fixture);
  }
}

TEST_CASE("bf16 gradients are as near to fp32 as those of transformers in bf16") {
  for_each_stack([](const Fixture& fixture) {
    Model model = load(fixture, Precision::bf16);
    check_rounded_gradients(model, fixture);
  });
}

TEST_CASE("the size of the head's chunks changes neither loss nor gradient") {
  const Fixture fixture("llama");
  Model model = load(fixture);
  const FullPass whole(model, fixture.batch);
  for (const std::int64_t chunk : {1, 7, 64}) {
    CAPTURE(chunk);
    Model chunked = load(fixture, Precision::fp32, chunk);
    const FullPass pass(chunked, fixture.batch);
    CHECK(pass.loss.nll == doctest::Approx(whole.loss.nll).epsilon(1e-7));
    CHECK(relative_error(pass.input_gradient, whole.input_gradient) < 1e-5);
    CHECK(relative_error(pass.gradients[1], whole.gradients[1]) < 1e-5);
  }
}

TEST_CASE("the same pass twice gives the same bits") {
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    const Fixture fixture("llama_long");
    Model first = load(fixture, precision), second = load(fixture, precision);
    const FullPass a(first, fixture.batch), b(second, fixture.batch);
    CHECK(a.loss.nll == b.loss.nll);
    for (std::size_t i = 0; i < a.gradients.size(); ++i) {
      CHECK(a.gradients[i].equal(b.gradients[i]));
    }
  }
}

TEST_CASE("documents packed in one row equal separate rows") {
  for (const char* name : {"llama", "mistral", "qwen3", "gpt2", "gpt_oss", "bert"}) {
    CAPTURE(name);
    const Fixture fixture(name);
    const std::int64_t n = fixture.batch.length;
    Batch packed{1, 2 * n, 0, fixture.batch.ids, fixture.batch.targets, {}, {}};
    packed.first_key = at::cat({at::zeros({n}, at::kInt), at::full({n}, n, at::kInt)});
    if (fixture.batch.end_key.defined()) {
      packed.end_key = fixture.batch.end_key.clone();
      packed.end_key.narrow(0, n, n).add_(n);
    }
    Model apart = load(fixture), together = load(fixture);
    const FullPass expected(apart, fixture.batch), pass(together, packed);
    CHECK(pass.loss.nll == doctest::Approx(expected.loss.nll).epsilon(1e-5));
    CHECK(relative_error(pass.hidden.back(), expected.hidden.back()) < 1e-4);
    for (std::size_t i = 0; i < pass.gradients.size(); ++i) {
      CHECK(relative_error(pass.gradients[i], expected.gradients[i]) < 1e-3);
    }
    packed.first_key = packed.end_key = at::Tensor();
    CHECK(relative_error(train::run_model(apart, packed), expected.hidden.back()) > 1e-3);
  }
}

TEST_CASE("per-token losses add up and are zero without a target") {
  const Fixture fixture("llama");
  Model model = load(fixture);
  const at::Tensor x = train::run_model(model, fixture.batch);
  at::Tensor per_token;
  const train::LossSum sum = model.head_loss(x, fixture.batch, 1.0, nullptr, &per_token);
  CHECK(per_token.sum().item<double>() == doctest::Approx(sum.nll).epsilon(1e-5));
  CHECK(per_token.masked_select(fixture.batch.targets < 0).abs().max().item<float>() == 0.0f);
  Batch empty = fixture.batch;
  empty.targets = at::full_like(empty.targets, -1);
  at::Tensor dx;
  CHECK(model.head_loss(x, empty, 1.0, &dx).targets == 0);
  CHECK(dx.abs().max().item<float>() == 0.0f);
}

TEST_CASE("binding a layer keeps its weights and lets the trainer change them") {
  const Fixture fixture("llama");
  Model model = load(fixture);
  const at::Tensor y = train::run_model(model, fixture.batch);
  const at::Tensor working = at::zeros({model.layer_elements()}, at::kFloat);
  model.bind_layer(1, {working, at::zeros({model.layer_elements()}, at::kFloat)});
  const at::Tensor before = working.clone();
  CHECK(train::run_model(model, fixture.batch).equal(y));
  working.mul_(1.5);
  CHECK_FALSE(train::run_model(model, fixture.batch).equal(y));
  model.set_layer_parameters(1, before);
  CHECK(train::run_model(model, fixture.batch).equal(y));
}

TEST_CASE("storage keeps the parts of fused matrices adjacent and covers each layer once") {
  const Fixture fixture("llama_odd");
  const Model model = load(fixture);
  std::int64_t offset = 0;
  for (const train::ParameterSlot& slot : model.parameter_layout()) {
    CHECK(slot.offset == offset);
    CHECK(slot.decay == (slot.shape.size() == 2));
    offset += slot.elements;
  }
  CHECK(offset == model.layer_elements());
  CHECK(model.parameter_layout()[0].name == "self_attn.q_proj.weight");
  CHECK(model.parameter_layout()[2].name == "self_attn.v_proj.weight");
}

TEST_CASE("experts' matrices decay, their biases do not; a token pays for the experts it goes to") {
  const Fixture fixture("gpt_oss");
  const Model model = load(fixture);
  for (const train::ParameterSlot& slot : model.parameter_layout()) {
    CAPTURE(slot.name);
    const bool bias = slot.name.ends_with("bias");
    CHECK(slot.decay == (slot.shape.size() >= 2 && !bias));
  }
  // q, k, v, o; the router; two of four experts.
  CHECK(model.row_multiplications(0, 3, 0) ==
        3 * (24 * (32 + 16 + 16 + 32) + 24 * 4 + 2 * (24 * 40 + 20 * 24)));
}

TEST_CASE("an encoder layer works on the source, a decoder layer on the target and the source") {
  const Model model = load(Fixture("t5"));
  const std::int64_t square = std::int64_t{24} * 24, mlp = std::int64_t{2} * 24 * 40;
  CHECK(model.row_multiplications(1, 28, 17) == 17 * (4 * square + mlp));
  CHECK(model.row_multiplications(2, 28, 17) ==
        11 * (6 * square + mlp) + std::int64_t{17} * 2 * square);
}

TEST_CASE("the layers of a checkpoint's stack are placed behind those that run before them") {
  const Model encoder = load(Fixture("t5_gated", "encoder"));
  const Model decoder = load(Fixture("t5_gated", "decoder"));
  CHECK(encoder.layer_count() == 4);
  CHECK(encoder.place_of(0) == 0);
  CHECK(decoder.layer_count() == 4);
  CHECK(decoder.place_of(2) == 3);
  CHECK(load(Fixture("llama")).place_of(2) == 2);
}

TEST_CASE("a document longer than the learned positions is refused") {
  const Fixture fixture("gpt2");
  Model model = load(fixture);
  Batch batch;
  batch.rows = 1;
  batch.length = 65;
  batch.ids = batch.targets = at::zeros({65}, at::kLong);
  CHECK(error_of([&] { train::embed_and_run(model, batch, 0, 0); }) ==
        "invalid_argument: a document reaches position 64 but the model has 64");
}

TEST_CASE("ids and targets outside of the vocabulary are refused") {
  const Fixture fixture("llama");
  Model model = load(fixture);
  Batch batch = fixture.batch;
  batch.ids = batch.ids.clone();
  for (const std::int64_t id : {std::int64_t{-1}, model.vocab_size()}) {
    batch.ids[5].fill_(id);
    const std::string error = error_of([&] { train::embed_and_run(model, batch, 0, 0); });
    CHECK(error.find("invalid_argument: position 5: token id " + std::to_string(id)) == 0);
  }
  batch.targets = at::full_like(fixture.batch.targets, 61);
  const at::Tensor x = at::zeros({batch.tokens(), model.hidden_size()}, at::kFloat);
  CHECK(error_of([&] { model.head_loss(x, batch); }).find("vocabulary has 61") !=
        std::string::npos);
}

}  // namespace organ::test
