// SPDX-License-Identifier: Apache-2.0
// Training of everything outside of the layers, against transformers' autograd
// (tests/tools/make_end_fixtures.py).
#include "tests/train/support/doctest.h"

#include <numeric>

#include <ATen/ATen.h>

#include "tests/support/data.h"
#include "tests/support/support.h"
#include "tests/train/support/fixture.h"
#include "train/optimize/flat_layers.h"
#include "train/passes/loss_path.h"
#include "train/passes/run_layers.h"

namespace organ::test {
namespace {

using train::Ends;
using train::FlatLayers;
using train::Model;
using train::Precision;

const std::vector<std::string>& models() {
  static const std::vector<std::string> names = {"llama", "llama_odd", "mistral",  "qwen2",
                                                 "qwen3", "gpt2",      "gpt2_odd", "gpt_oss"};
  return names;
}

std::map<std::string, at::Tensor> expected_gradients(const std::string& name) {
  return read_tensors(test_data() / "ends" / (name + ".safetensors"));
}

std::vector<std::uint64_t> layers_of(const Model& model) {
  std::vector<std::uint64_t> layers(model.architecture().layer_count());
  std::iota(layers.begin(), layers.end(), 0);
  return layers;
}

// A model whose every number trains, run forward and backward once over `batch`.
struct WholePass {
  WholePass(const Fixture& base, const train::Batch& batch, Precision precision)
      : model(Model::load(base.checkpoint, {.precision = precision})),
        organ(model, base.checkpoint, layers_of(model), false, Ends::trained) {
    train::LossPath stack(model, 0, model.layer_count(), model.layer_count());
    const auto targets = static_cast<double>(batch.targets.ge(0).sum().item<std::int64_t>());
    loss = stack.accumulate_gradient(train::embed_and_run(model, batch, 0, 0), batch, 1 / targets);
  }

  at::Tensor gradient(std::int64_t start, const train::ParameterSlot& slot) const {
    return organ.tensors().gradient.narrow(0, start + slot.offset, slot.elements).view(slot.shape);
  }
  // compare(name, ours)
  template <typename Compare>
  void for_each_end(Compare compare) const {
    const std::int64_t start = model.layer_count() * model.layer_elements();
    for (const auto& slot : model.end_layout()) compare(slot.name, gradient(start, slot));
  }

  Model model;
  FlatLayers organ;
  train::LossSum loss;
};

}  // namespace

TEST_CASE("gradients of embeddings, last norm and head equal transformers' in fp32") {
  for (const std::string& name : models()) {
    CAPTURE(name);
    const Fixture base(name);
    const auto expected = expected_gradients(name);
    const WholePass pass(base, base.batch, Precision::fp32);
    CHECK(pass.loss.nll == doctest::Approx(base.reference.at("loss").item<float>()).epsilon(1e-6));
    std::size_t compared = 0;
    pass.for_each_end([&](const std::string& tensor, const at::Tensor& ours) {
      CAPTURE(tensor);
      ++compared;
      CHECK(relative_error(ours, expected.at(tensor)) < 1e-4);
    });
    CHECK(compared + 1 == expected.size());  // bf16_error
  }
}

TEST_CASE("the layers train as they do alone") {
  const Fixture base("gpt2");
  const WholePass pass(base, base.batch, Precision::fp32);
  for (std::int64_t layer = 0; layer < pass.model.layer_count(); ++layer) {
    for (const auto& slot : pass.model.parameter_layout()) {
      CAPTURE(slot.name);
      const std::string name =
          base.checkpoint.layer_prefix(static_cast<std::uint64_t>(layer)) + slot.name;
      const at::Tensor& theirs = base.reference.at("grad." + name);
      if (theirs.abs().max().item<double>() < 1e-6) continue;  // rounding alone
      CHECK(relative_error(pass.gradient(layer * pass.model.layer_elements(), slot), theirs) <
            1e-4);
    }
  }
}

TEST_CASE("in bf16 the gradient of the ends is off by no more than transformers' in bf16") {
  for (const std::string& name : models()) {
    CAPTURE(name);
    const Fixture base(name);
    const auto expected = expected_gradients(name);
    const WholePass pass(base, base.batch, Precision::bf16);
    std::vector<at::Tensor> ours, exact;
    pass.for_each_end([&](const std::string& tensor, const at::Tensor& gradient) {
      ours.push_back(gradient.flatten());
      exact.push_back(expected.at(tensor).flatten());
    });
    CHECK(1 - cosine(at::cat(ours), at::cat(exact)) < 2 * expected.at("bf16_error").item<float>());
  }
}

TEST_CASE("documents packed in one row give the gradients of separate rows") {
  const Fixture base("gpt2");
  const std::int64_t n = base.batch.length;
  train::Batch packed = base.batch;
  packed.rows = 1;
  packed.length = base.batch.tokens();
  packed.first_key = at::arange(base.batch.rows, at::kInt).mul_(n).repeat_interleave(n);
  const WholePass apart(base, base.batch, Precision::fp32), together(base, packed, Precision::fp32);
  CHECK(relative_error(together.organ.tensors().gradient, apart.organ.tensors().gradient) < 1e-4);
}

TEST_CASE("what the model computes with is what the run holds") {
  const Fixture base("llama_odd");  // its head is the embedding
  Model model = Model::load(base.checkpoint, {});
  FlatLayers organ(model, base.checkpoint, layers_of(model), false, Ends::trained);
  const auto tensors = organ.collect();
  CHECK(tensors.back().layer == train::TrainedTensor::kOutside);
  const auto stored = read_tensors(base.checkpoint.folder() / "model.safetensors");
  std::size_t numbers = 0;
  for (const auto& [name, tensor] : stored) numbers += static_cast<std::size_t>(tensor.numel());
  CHECK(organ.view().master.size() == numbers);
  const double before = FullPass(model, base.batch).loss.nll;
  organ.tensors().master.narrow(0, model.layer_count() * model.layer_elements(), 1).add_(1);
  organ.refresh_working();
  const at::Tensor x = train::run_model(model, base.batch);
  CHECK(model.head_loss(x, base.batch).nll != before);
}

TEST_CASE("of masked and encoder-decoder models only layers train") {
  for (const char* name : {"bert", "t5"}) {
    CAPTURE(name);
    const Fixture base(name);
    const Model model = Model::load(base.checkpoint, {});
    CHECK(error_of([&] { model.end_layout(); }).starts_with("incompatible: model type"));
  }
}

}  // namespace organ::test
