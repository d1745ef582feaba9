// SPDX-License-Identifier: Apache-2.0
#include "train/optimize/flat_layers.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <tuple>

#include <ATen/ATen.h>
#include <fmt/core.h>

#include "format/base/fail.h"
#include "train/weights/stored_weights.h"

namespace organ::train {

namespace {

// To nearest even.
void round_to(const at::Tensor& values, at::ScalarType type, const std::string& tensor) {
  if (type == at::kFloat) return;
  const at::Tensor rounded = values.to(type).to(at::kFloat);
  const auto beyond = rounded.isinf().logical_and_(values.isfinite()).sum().item<std::int64_t>();
  if (beyond > 0) {
    throw Error(ErrorCode::incompatible,
                fmt::format("tensor {}: {} trained numbers are too large for {}, its stored type",
                            quote(tensor), beyond, type == at::kHalf ? "F16" : "BF16"),
                "train a copy that is stored as F32, or with a smaller --lr");
  }
  values.copy_(rounded);
}

at::ScalarType scalar_type(format::DType dtype, const std::string& tensor) {
  switch (dtype) {
    case format::DType::F32: return at::kFloat;
    case format::DType::BF16: return at::kBFloat16;
    case format::DType::F16: return at::kHalf;
    default:
      fail(ErrorCode::incompatible, "tensor {}: stored as {}, only F32, BF16 and F16 train",
           quote(tensor), format::to_string(dtype));
  }
}

std::vector<std::uint64_t> indices_of(format::LayerRange layers) {
  std::vector<std::uint64_t> indices(layers.count);
  std::iota(indices.begin(), indices.end(), layers.first);
  return indices;
}

}  // namespace

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

FlatLayers::FlatLayers(Model& model, const format::Checkpoint& checkpoint,
                       format::LayerRange layers, bool decay_all)
    : FlatLayers(model, checkpoint, indices_of(layers), decay_all) {}

FlatLayers::FlatLayers(Model& model, const format::Checkpoint& checkpoint,
                       std::span<const std::uint64_t> layers, bool decay_all, Ends ends)
    : model_(model),
      layers_(layers.begin(), layers.end()),
      layer_elements_(model.layer_elements()) {
  std::int64_t elements = static_cast<std::int64_t>(layers.size()) * layer_elements_;
  if (ends == Ends::trained) ends_ = model.end_layout();
  for (ParameterSlot& end : ends_) {
    end.offset = elements;
    elements += end.elements;
  }
  const auto options = at::TensorOptions().dtype(at::kFloat).device(model.device());
  master_ = at::empty({elements}, options);
  gradient_ = at::zeros({elements}, options);
  first_moment_ = at::zeros({elements}, options);
  second_moment_ = at::zeros({elements}, options);
  working_ = model.precision() == Precision::fp32
                 ? master_
                 : at::empty({elements}, options.dtype(at::kBFloat16));
  bind(model, decay_all);
  if (!ends_.empty()) bind_ends(model, decay_all);
  read_master(checkpoint);
}

void FlatLayers::bind(Model& model, bool decay_all) {
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const std::int64_t index = model.place_of(layers_[i]);
    const std::int64_t start = static_cast<std::int64_t>(i) * layer_elements_;
    model.bind_layer(index, {working_.narrow(0, start, layer_elements_),
                             gradient_.narrow(0, start, layer_elements_)});
    for (const auto& slot : model.parameter_layout()) {
      add_run(runs_, start + slot.offset, slot.elements, slot.decay || decay_all);
    }
  }
}

void FlatLayers::bind_ends(Model& model, bool decay_all) {
  const std::int64_t start = ends_.front().offset, count = master_.numel() - start;
  model.bind_ends({working_.narrow(0, start, count), gradient_.narrow(0, start, count)});
  for (const auto& end : ends_) {
    add_run(runs_, end.offset, end.elements, end.decay || decay_all);
  }
}

void FlatLayers::read_master(const format::Checkpoint& checkpoint) {
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const StoredLayer stored = checkpoint.layer(layers_[i]);
    for (const auto& parameter : model_.parameter_layout()) {
      // Refused before it trains.
      scalar_type(trained_type(stored, parameter.name), parameter.name);
      read_layer_tensor(checkpoint, stored, parameter.name, slot(i, parameter));
    }
  }
  for (const auto& end : ends_) {
    const auto location = checkpoint.locate(end.name);
    scalar_type(location.tensor->dtype, end.name);
    read_weights(checkpoint, location, master_.narrow(0, end.offset, end.elements));
  }
  FlatLayers::refresh_working();
}

FlatTensors FlatLayers::tensors() const {
  return {master_, first_moment_, second_moment_, gradient_, working_};
}

void FlatLayers::refresh_working() {
  if (!working_.is_same(master_)) working_.copy_(master_);
}

at::Tensor FlatLayers::slot(std::size_t layer, const ParameterSlot& slot) const {
  const std::int64_t start = static_cast<std::int64_t>(layer) * layer_elements_;
  return master_.narrow(0, start + slot.offset, slot.elements);
}

void FlatLayers::round_to_stored_types(const format::Checkpoint& checkpoint) {
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const auto stored = checkpoint.layer(layers_[i]);
    for (const auto& parameter : model_.parameter_layout()) {
      round_to(slot(i, parameter),
               scalar_type(trained_type(stored, parameter.name), parameter.name), parameter.name);
    }
  }
  for (const auto& end : ends_) {
    round_to(master_.narrow(0, end.offset, end.elements),
             scalar_type(checkpoint.locate(end.name).tensor->dtype, end.name), end.name);
  }
  refresh_working();
}

std::vector<TrainedTensor> FlatLayers::collect() const {
  const auto host = std::make_shared<const at::Tensor>(master_.cpu());
  const std::span<const float> numbers(host->const_data_ptr<float>(),
                                       static_cast<std::size_t>(host->numel()));
  std::vector<TrainedTensor> tensors;
  const auto add = [&](std::uint64_t layer, const ParameterSlot& slot, std::int64_t start) {
    tensors.push_back({layer, slot.name,
                       numbers.subspan(static_cast<std::size_t>(start + slot.offset),
                                       static_cast<std::size_t>(slot.elements)),
                       host});
  };
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    for (const auto& parameter : model_.parameter_layout()) {
      add(layers_[i], parameter, static_cast<std::int64_t>(i) * layer_elements_);
    }
  }
  for (const auto& end : ends_) add(TrainedTensor::kOutside, end, 0);
  std::sort(tensors.begin(), tensors.end(), [](const TrainedTensor& a, const TrainedTensor& b) {
    return std::tie(a.layer, a.name) < std::tie(b.layer, b.name);
  });
  return tensors;
}

}  // namespace organ::train
