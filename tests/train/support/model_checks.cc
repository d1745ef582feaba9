// SPDX-License-Identifier: Apache-2.0
#include "tests/train/support/doctest.h"

#include "tests/train/support/model_checks.h"

#include <algorithm>

namespace organ::test {
namespace {

double greatest(const at::Tensor& tensor) { return tensor.abs().max().item<double>(); }

// Calls compare(name, ours, theirs) for the gradient of every tensor of every trained layer, on
// the CPU.
template <typename Compare>
void for_each_gradient(const train::Model& model, const FullPass& pass, const Fixture& fixture,
                       Compare compare) {
  for (std::int64_t layer = 0; layer < model.layer_count(); ++layer) {
    const at::Tensor& flat = pass.gradients[static_cast<std::size_t>(layer)];
    if (!flat.defined()) continue;
    const at::Tensor gradient = flat.cpu();
    for (const train::ParameterSlot& slot : model.parameter_layout()) {
      const auto own = static_cast<std::uint64_t>(layer - model.place_of(0));
      const std::string name = fixture.checkpoint.layer_prefix(own) + slot.name;
      compare(name, gradient.narrow(0, slot.offset, slot.elements).view(slot.shape),
              fixture.reference.at("grad." + name));
    }
  }
}

}  // namespace

void for_each_stack(const std::function<void(const Fixture&)>& action) {
  for (const std::string& name : fixture_names()) {
    CAPTURE(name);
    const Fixture fixture(name);
    action(fixture);
    if (fixture.batch.source > 0) action(Fixture(name, "encoder"));
  }
}

void check_values(train::Model& model, const Fixture& fixture) {
  const FullPass pass(model, fixture.batch);
  for (std::size_t i = 0; i < pass.hidden.size(); ++i) {
    CAPTURE(i);
    CHECK((pass.hidden[i].device() == model.device()));
    const at::Tensor& expected = fixture.reference.at("hidden." + std::to_string(i));
    CHECK(relative_error(pass.hidden[i].cpu(), expected.view(pass.hidden[i].sizes())) < 1e-5);
  }
  const at::Tensor logits = model.logits(pass.hidden.back(), logit_positions(fixture.batch));
  CHECK(relative_error(logits, fixture.reference.at("logits")) < 1e-4);
  const double expected = fixture.reference.at("loss").item<float>();
  CHECK(pass.loss.nll == doctest::Approx(expected).epsilon(1e-6));
  CHECK(pass.loss.targets == fixture.batch.targets.ge(0).sum().item<std::int64_t>());
}

void check_gradients(train::Model& model, const Fixture& fixture) {
  const FullPass pass(model, fixture.batch);
  double largest = 0;
  for_each_gradient(model, pass, fixture, [&](const auto&, auto, auto theirs) {
    largest = std::max(largest, greatest(theirs));
  });
  for_each_gradient(model, pass, fixture, [&](const auto& tensor, auto ours, auto theirs) {
    CAPTURE(tensor);
    // A key bias without rotation shifts all scores of a query alike: its gradient is zero, and
    // what is left is rounding on both sides.
    if (greatest(theirs) < 1e-6 * largest) {
      CHECK(greatest(ours) < 1e-6 * largest);
    } else {
      CHECK(relative_error(ours, theirs) < 1e-4);
    }
  });
  const at::Tensor& input = fixture.reference.at("grad.hidden.0");
  CHECK(relative_error(pass.input_gradient.cpu(), input.view(pass.input_gradient.sizes())) < 1e-4);
}

void check_rounded_values(train::Model& model, const Fixture& fixture) {
  const FullPass pass(model, fixture.batch);
  const auto expected_of = [&](std::size_t i) {
    return fixture.reference.at("hidden." + std::to_string(i)).view(pass.hidden[i].sizes());
  };
  for (std::size_t i = 0; i < pass.hidden.size(); ++i) {
    CAPTURE(i);
    CHECK(cosine(pass.hidden[i].cpu(), expected_of(i)) > 0.9999);
    if (i == 0) continue;
    // The embedding outweighs what a layer adds, which is what can be wrong.
    const at::Tensor added = (pass.hidden[i] - pass.hidden[i - 1]).cpu();
    const at::Tensor right = expected_of(i) - expected_of(i - 1);
    const double error = (added - right).norm().item<double>() / right.norm().item<double>();
    CHECK(error < 2e-2);
  }
  const at::Tensor logits = model.logits(pass.hidden.back(), logit_positions(fixture.batch));
  CHECK(cosine(logits, fixture.reference.at("logits")) > 0.9999);
  const double expected = fixture.reference.at("loss").item<float>();
  CHECK(pass.loss.nll == doctest::Approx(expected).epsilon(5e-3));
}

void check_rounded_gradients(train::Model& model, const Fixture& fixture) {
  const FullPass pass(model, fixture.batch);
  // relu's slope has a step at zero: near it the roundings decide, on either side by themselves.
  // transformers comes down to 0.988 on these models.
  const bool steps = model.architecture().spec().activation == "relu";
  double error = 0, expected_error = 0, count = 0;
  const auto compare = [&](const std::string& tensor, const at::Tensor& ours) {
    CAPTURE(tensor);
    const auto found = fixture.bf16_cosines.find("grad." + tensor);
    if (found == fixture.bf16_cosines.end()) {
      // Nothing but rounding, on both sides.
      CHECK(greatest(fixture.reference.at("grad." + tensor)) <= 1e-6);
      return;
    }
    const double lost = 1 - cosine(ours, fixture.reference.at("grad." + tensor));
    CHECK(lost < (steps ? 2e-2 : 2e-3));
    error += lost;
    expected_error += 1 - found->second;
    ++count;
  };
  compare("hidden.0", pass.input_gradient.cpu());
  for_each_gradient(model, pass, fixture,
                    [&](const auto& tensor, auto ours, const auto&) { compare(tensor, ours); });
  // One tensor, such as a key's bias whose gradient nearly cancels, may be lucky on either side;
  // all of them together are not.
  if (!steps) CHECK(error < expected_error + 1e-4 * count);
}

}  // namespace organ::test
