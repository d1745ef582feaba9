// SPDX-License-Identifier: Apache-2.0
// Adapters that PEFT wrote (bottlenecks: autograd), against what it computes with them
// (tests/tools/make_adapter_fixtures.py).
#include "tests/train/support/doctest.h"

#include <numeric>

#include <ATen/ATen.h>

#include "format/base/file.h"
#include "tests/support/data.h"
#include "tests/support/support.h"
#include "tests/support/watcher.h"
#include "tests/train/support/fixture.h"
#include "train/adapter/adapter.h"
#include "train/adapter/merge.h"
#include "train/model/adapter_binding.h"
#include "train/passes/loss_path.h"
#include "train/passes/run_layers.h"

namespace organ::test {
namespace {

using train::Adapter;
using train::Model;
using train::Precision;

struct Case {
  std::string adapter, model;
  bool merges = true;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"lora", "llama"},
      {"lora_all_linear", "llama_odd"},
      {"lora_regex", "qwen3"},
      {"lora_layers", "mistral"},
      {"ia3", "llama"},
      {"ia3_bias", "llama_odd"},
      {"lora_gpt2", "gpt2"},
      {"ia3_gpt2", "gpt2"},
      {"lora_gpt_oss", "gpt_oss"},
      {"lora_experts", "gpt_oss"},
      {"lora_expert_outputs", "gpt_oss"},
      {"prompt", "llama", false},
      {"prompt_gpt2", "gpt2", false},
      {"prompt_mistral", "mistral", false},
      {"prefix", "llama", false},
      {"prefix_gpt2", "gpt2", false},
      {"prefix_gpt_oss", "gpt_oss", false},
      {"prefix_mistral", "mistral", false},
      {"prefix_projected", "qwen3", false},
      {"bottleneck", "llama_odd", false},
      {"bottleneck_gpt2", "gpt2", false},
  };
  return all;
}

std::filesystem::path adapter_folder(const std::string& name) {
  return test_data() / "adapters" / name;
}

// An adapted model, run forward and backward once.
struct AdaptedPass {
  AdaptedPass(const Case& c, Precision precision) : AdaptedPass(c, precision, Fixture(c.model)) {}
  AdaptedPass(const Case& c, Precision precision, Fixture fixture)
      : base(std::move(fixture)),
        reference(read_tensors(adapter_folder(c.adapter) / "reference.safetensors")),
        adapter(train::read_adapter(adapter_folder(c.adapter), base.checkpoint.architecture())),
        model(Model::load(base.checkpoint, {.precision = precision})),
        buffers(train::make_buffers(adapter, model, true)) {
    train::bind_adapter(model, adapter, buffers);
    train::LossPath stack(model, 0, model.layer_count(), model.layer_count());
    const auto targets = static_cast<double>((base.batch.targets >= 0).sum().item<std::int64_t>());
    loss = stack.accumulate_gradient(train::embed_and_run(model, base.batch, 0, 0), base.batch,
                                     1 / targets);
  }

  at::Tensor logits() {
    const at::Tensor x = train::run_model(model, base.batch);
    std::vector<std::int64_t> positions(static_cast<std::size_t>(base.batch.tokens()));
    std::iota(positions.begin(), positions.end(), 0);
    return model.logits(x, positions);
  }

  // compare(name, ours, theirs)
  template <typename Compare>
  void for_each_gradient(Compare compare) const {
    for (const auto& slot : adapter.slots) {
      const std::string name = adapter.stored_name(slot, base.checkpoint.architecture());
      compare(name, buffers.gradient.narrow(0, slot.offset, slot.elements).view(slot.shape),
              reference.at("grad." + name));
    }
  }

  Fixture base;
  std::map<std::string, at::Tensor> reference;
  Adapter adapter;
  Model model;
  train::AdapterBuffers buffers;
  train::LossSum loss;
};

}  // namespace

TEST_CASE("logits, loss and gradients of an adapted model equal PEFT's in fp32") {
  for (const Case& c : cases()) {
    CAPTURE(c.adapter);
    AdaptedPass pass(c, Precision::fp32);
    CHECK(relative_error(pass.logits(), pass.reference.at("logits")) < 1e-4);
    const double expected = pass.reference.at("loss").item<float>();
    CHECK(pass.loss.nll == doctest::Approx(expected).epsilon(1e-6));
    pass.for_each_gradient([](const std::string& name, const auto& ours, const auto& theirs) {
      CAPTURE(name);
      CHECK(relative_error(ours, theirs) < 1e-4);
    });
  }
}

TEST_CASE("in bf16 the gradient is off by no more than PEFT's in bf16") {
  for (const Case& c : cases()) {
    CAPTURE(c.adapter);
    AdaptedPass pass(c, Precision::bf16);
    const double expected = pass.reference.at("loss").item<float>();
    CHECK(pass.loss.nll == doctest::Approx(expected).epsilon(5e-3));
    std::vector<at::Tensor> ours, exact;
    pass.for_each_gradient([&](const std::string&, const auto& a, const auto& b) {
      ours.push_back(a.flatten());
      exact.push_back(b.flatten());
    });
    const double error = 1 - cosine(at::cat(ours), at::cat(exact));
    // Two roundings of one size are never equal; twice is one half of a bit more.
    CHECK(error < 2 * pass.reference.at("bf16_error").item<float>());
  }
}

// The rows of a fixture as the documents of one row, a padding behind them.
train::Batch one_row_of(const train::Batch& rows) {
  train::Batch one;
  one.rows = 1;
  one.length = rows.tokens() + 1;
  one.ids = at::cat({rows.ids, at::zeros({1}, at::kLong)});
  one.targets = at::cat({rows.targets, at::full({1}, -1, at::kLong)});
  one.first_key =
      at::cat({at::arange(rows.rows, at::kInt).mul_(rows.length).repeat_interleave(rows.length),
               at::full({1}, rows.tokens(), at::kInt)});
  return one;
}

TEST_CASE("each document of a window sees the virtual tokens as if it were alone") {
  for (const Case& c : cases()) {
    if (!c.adapter.starts_with("pr")) continue;
    CAPTURE(c.adapter);
    const AdaptedPass apart(c, Precision::fp32);
    Fixture packed(c.model);
    REQUIRE(packed.batch.rows > 1);
    packed.batch = one_row_of(packed.batch);
    AdaptedPass together(c, Precision::fp32, std::move(packed));
    CHECK(together.loss.nll == doctest::Approx(apart.loss.nll).epsilon(1e-6));
    CHECK(relative_error(together.logits().narrow(0, 0, apart.base.batch.tokens()),
                         apart.reference.at("logits")) < 1e-4);
    together.for_each_gradient([](const std::string& name, const auto& ours, const auto& theirs) {
      CAPTURE(name);
      CHECK(relative_error(ours, theirs) < 1e-4);
    });
  }
}

TEST_CASE("virtual tokens that are left out leave the model as it was") {
  for (const Case& c : {Case{"prompt", "llama"}, Case{"prefix_gpt2", "gpt2"}}) {
    CAPTURE(c.adapter);
    AdaptedPass pass(c, Precision::fp32);
    pass.model.leave_out_virtual_tokens(true);
    CHECK(relative_error(pass.logits(), pass.base.reference.at("logits")) < 1e-5);
    pass.model.leave_out_virtual_tokens(false);
    CHECK(relative_error(pass.logits(), pass.reference.at("logits")) < 1e-4);
  }
}

TEST_CASE("merging tells its bytes, and ended at any step leaves nothing behind") {
  const AdaptedPass pass(Case{"lora", "llama"}, Precision::fp32);
  const TempFolder folder = scratch();
  const auto merge = [&](const std::string& name, const Work& work) {
    train::merge_adapter(pass.base.checkpoint, pass.adapter, folder.path() / name, work);
  };
  Watcher watcher;
  merge("watched", Work(&watcher));
  CHECK(watcher.names() == std::vector<std::string>{"copying"});
  check_phases(watcher);
  CHECK(end_at_every_step(folder.path(), [&](const Work& work) { merge("merged", work); }) > 1);
}

TEST_CASE("merging gives the weights PEFT merges to, and an equal function") {
  for (const Case& c : cases()) {
    CAPTURE(c.adapter);
    if (!c.merges) continue;
    AdaptedPass pass(c, Precision::fp32);
    const TempFolder folder = scratch();
    train::merge_adapter(pass.base.checkpoint, pass.adapter, folder.path() / "merged");
    const auto merged = read_tensors(folder.path() / "merged" / "model.safetensors");
    const auto before = read_tensors(pass.base.checkpoint.folder() / "model.safetensors");
    std::size_t changed = 0;
    for (const auto& [key, tensor] : merged) {
      const std::string& name = key;
      CAPTURE(name);
      const auto expected = pass.reference.find("merged." + name);
      if (expected == pass.reference.end()) {
        CHECK(tensor.equal(before.at(name)));
      } else {
        ++changed;
        CHECK(relative_error(tensor, expected->second) < 1e-6);
      }
    }
    CHECK(changed == std::count_if(pass.reference.begin(), pass.reference.end(),
                                   [](auto& entry) { return entry.first.starts_with("merged."); }));
    Model model = Model::load(format::Checkpoint::open(folder.path() / "merged"), {});
    const FullPass run(model, pass.base.batch);
    CHECK(run.loss.nll == doctest::Approx(pass.loss.nll).epsilon(1e-6));
  }
}

TEST_CASE("an adapter is written as it was read") {
  for (const Case& c : cases()) {
    CAPTURE(c.adapter);
    const Fixture base(c.model);
    const auto& architecture = base.checkpoint.architecture();
    const Adapter adapter = train::read_adapter(adapter_folder(c.adapter), architecture);
    const TempFolder folder = scratch();
    train::write_adapter(adapter, architecture, folder.path());
    const Adapter again = train::read_adapter(folder.path(), architecture);
    CHECK(again.values == adapter.values);
    const auto theirs = read_tensors(adapter_folder(c.adapter) / "adapter_model.safetensors");
    const auto ours = read_tensors(folder.path() / "adapter_model.safetensors");
    CHECK(ours.size() == theirs.size());
    for (const auto& [name, tensor] : theirs) CHECK(ours.at(name).equal(tensor));
  }
}

}  // namespace organ::test
