// SPDX-License-Identifier: Apache-2.0
#include "train/internal/organ_stack.h"

#include <utility>

#include <ATen/ATen.h>

namespace organ::train {
namespace {

std::span<float> floats(const at::Tensor& tensor) {
  return {tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

void add_run(std::vector<ParameterRun>& runs, std::int64_t offset, std::int64_t elements,
             bool decay) {
  const auto start = static_cast<std::size_t>(offset);
  const auto count = static_cast<std::size_t>(elements);
  if (!runs.empty() && runs.back().decay == decay &&
      runs.back().offset + runs.back().elements == start) {
    runs.back().elements += count;
  } else {
    runs.push_back({start, count, decay});
  }
}

}  // namespace

FlatOrgan::FlatOrgan(Model& model, format::LayerRange layers, bool decay_all)
    : layer_elements_(model.layer_elements()) {
  const auto count = static_cast<std::int64_t>(layers.count);
  const auto zeros = [&] { return at::zeros({count * layer_elements_}, at::kFloat); };
  master_ = zeros();
  gradient_ = zeros();
  first_moment_ = zeros();
  second_moment_ = zeros();
  working_ = model.precision() == Precision::fp32 ? master_ : master_.to(at::kBFloat16);
  for (std::int64_t i = 0; i < count; ++i) {
    const auto index = static_cast<std::int64_t>(layers.first) + i;
    const std::int64_t start = i * layer_elements_;
    master_.narrow(0, start, layer_elements_).copy_(model.layer_parameters(index));
    model.bind_layer(index, {working_.narrow(0, start, layer_elements_),
                             gradient_.narrow(0, start, layer_elements_)});
    for (const auto& slot : model.parameter_layout()) {
      add_run(runs_, start + slot.offset, slot.elements, slot.decay || decay_all);
    }
  }
}

FlatParameters FlatOrgan::view() {
  FlatParameters view{
      floats(master_), floats(first_moment_), floats(second_moment_), floats(gradient_), {}};
  if (working_.scalar_type() == at::kBFloat16) {
    view.working = {reinterpret_cast<std::uint16_t*>(working_.data_ptr()),
                    static_cast<std::size_t>(working_.numel())};
  }
  return view;
}

void FlatOrgan::refresh_working() {
  if (!working_.is_same(master_)) working_.copy_(master_);
}

at::Tensor FlatOrgan::slot(std::int64_t layer, const ParameterSlot& slot) const {
  return master_.narrow(0, layer * layer_elements_ + slot.offset, slot.elements);
}

LossSum OrganStack::accumulate_gradient(at::Tensor x, const Batch& batch, double scale) {
  const bool recompute = activations_ == Activations::recomputed;
  const auto count = static_cast<std::size_t>(top_ - first_);
  std::vector<LayerTapePtr> tapes(count);
  std::vector<at::Tensor> inputs(recompute ? count : 0);
  for (std::size_t i = 0; i < count; ++i) {
    if (recompute) inputs[i] = x;
    x = model_.forward_layer(first_ + static_cast<std::int64_t>(i), x, batch,
                             recompute ? nullptr : &tapes[i]);
  }
  at::Tensor gradient;
  const LossSum sum = model_.head_loss(x, batch, scale, &gradient);
  x.reset();
  for (std::size_t i = count; i-- > 0;) {
    const std::int64_t layer = first_ + static_cast<std::int64_t>(i);
    if (recompute) model_.forward_layer(layer, std::exchange(inputs[i], {}), batch, &tapes[i]);
    gradient = model_.backward_layer(layer, gradient, std::move(tapes[i]), batch, i > 0);
  }
  return sum;
}

LossSum OrganStack::loss(at::Tensor x, const Batch& batch) {
  for (std::int64_t layer = first_; layer < top_; ++layer) {
    x = model_.forward_layer(layer, x, batch, nullptr);
  }
  return model_.head_loss(x, batch);
}

double OrganStack::flops_per_token() const {
  const auto layers = static_cast<double>(top_ - first_);
  const auto trained = static_cast<double>(last_ - first_);
  const auto per_layer = static_cast<double>(model_.layer_multiplications());
  const double head = static_cast<double>(model_.vocab_size() * model_.hidden_size());
  return 2 * per_layer * (2 * layers + trained) + 4 * head;
}

}  // namespace organ::train
