// SPDX-License-Identifier: Apache-2.0
// The baseline top_k: the weights of all layers that the loss asks most to change, wherever they
// stand.
#include <algorithm>
#include <cmath>
#include <functional>

#include <ATen/ATen.h>

#include "format/base/fail.h"
#include "train/baselines/baselines.h"
#include "train/baselines/internal/first_gradient.h"
#include "train/kernels/dispatch.h"
#include "train/optimize/flat_layers.h"
#include "train/optimize/trained_parameters.h"
#include "train/passes/run_layers.h"
#include "train/trainer/run_training.h"

namespace organ::train {
namespace {

format::LayerRange all_layers(const Model& model) {
  return {0, model.architecture().layer_count()};
}

// All layers are bound; the gradient of what was not chosen is dropped, so that AdamW leaves it
// where it is. No weight decay, which would move it.
class ChosenElements final : public FlatLayers {
 public:
  ChosenElements(Model& model, const format::Checkpoint& checkpoint)
      : FlatLayers(model, checkpoint, all_layers(model), false),
        runs_{{.offset = 0,
               .elements = static_cast<std::size_t>(tensors().master.numel()),
               .decay = false}} {}

  void choose(const std::vector<bool>& chosen) {
    const at::Tensor left_out = at::empty({static_cast<std::int64_t>(chosen.size())}, at::kBool);
    std::transform(chosen.begin(), chosen.end(), left_out.mutable_data_ptr<bool>(),
                   std::logical_not<>());
    left_out_ = left_out.to(tensors().gradient.device());
  }
  const std::vector<ParameterRun>& runs() const override { return runs_; }
  void finish_gradient() override { tensors().gradient.masked_fill_(left_out_, 0); }

 private:
  std::vector<ParameterRun> runs_;
  at::Tensor left_out_;  // of each number
};

}  // namespace

std::vector<bool> top_elements(std::span<const float> gradient, std::uint64_t count) {
  check(count >= 1 && count <= gradient.size(), "more elements wanted than there are");
  std::vector<float> magnitudes(gradient.size());
  std::transform(gradient.begin(), gradient.end(), magnitudes.begin(),
                 [](float value) { return std::abs(value); });
  const auto last = magnitudes.begin() + static_cast<std::ptrdiff_t>(count - 1);
  std::nth_element(magnitudes.begin(), last, magnitudes.end(), std::greater<>());
  const float limit = *last;
  std::uint64_t ties = count - static_cast<std::uint64_t>(std::count_if(
                                   gradient.begin(), gradient.end(),
                                   [&](float value) { return std::abs(value) > limit; }));
  std::vector<bool> chosen(gradient.size());
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    const float magnitude = std::abs(gradient[i]);
    const bool tie = magnitude == limit && ties > 0;
    if (tie) --ties;
    chosen[i] = magnitude > limit || tie;
  }
  return chosen;
}

std::uint64_t elements_in(double share, std::uint64_t elements) {
  if (!(share > 0 && share <= 1)) {
    fail(ErrorCode::invalid_argument,
         "--share: {} is out of range, expected more than 0 and at "
         "most 1",
         share);
  }
  return std::max<std::uint64_t>(
      1, static_cast<std::uint64_t>(std::llround(share * static_cast<double>(elements))));
}

TrainResult train_top_elements(const TrainInputs& inputs, double share) {
  elements_in(share, 1);  // refused before the model is read
  std::uint64_t trainable = 0;
  TrainResult result = run_training(inputs, [&](Model& model) {
    auto elements = std::make_unique<ChosenElements>(model, inputs.checkpoint);
    const at::Tensor on_host =
        first_gradient(model, *elements, inputs.settings, inputs.data.training);
    const std::span<const float> gradient = host_floats(on_host);
    trainable = elements_in(share, gradient.size());
    elements->choose(top_elements(gradient, trainable));
    elements->tensors().gradient.zero_();
    return elements;
  });
  result.trainable = trainable;
  return result;
}

}  // namespace organ::train
