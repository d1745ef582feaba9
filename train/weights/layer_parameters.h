// SPDX-License-Identifier: Apache-2.0
// How the parameters of a layer lie in one flat run of numbers, and views of that run.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <ATen/core/Tensor.h>

#include "format/architecture/architecture.h"
#include "train/model/model.h"
#include "train/weights/adaptation.h"
#include "train/weights/projection.h"

namespace organ::train {

// What a kind of layer calls its tensors. Projections are named without ".weight" and ".bias";
// where several are one fused matrix, by the first of them. "" where the layer has none.
struct TensorNames {
  std::span<const std::string_view> storage_order;  // parts of one fused matrix are adjacent
  std::string_view qkv, attention_output, query_norm, key_norm;
  std::string_view mlp_in, mlp_out;  // gate and up, or the only one; down
  std::string_view sinks = "", router = "";
  std::string_view cross_query = "", cross_key_value = "", cross_output = "", cross_norm = "";
  std::string_view attention_norm, mlp_norm;
  Orientation orientation;
};

// Throws incompatible when no kind of layer that training knows has all of these tensors.
const TensorNames& tensor_names(const std::vector<format::LayerTensor>& tensors);

// The slots of the tensors that an architecture lists, in the order of `names`.
std::vector<ParameterSlot> storage_layout(const std::vector<format::LayerTensor>& tensors,
                                          const TensorNames& names);

// The parameters of one layer and, where it trains, their gradients; and what an adapter does at
// its projections.
class LayerParameters {
 public:
  // Borrows the layout and the adapters. values [elements] of the model's precision; gradients fp32
  // [elements], or undefined for a frozen layer. prefix: see Model::prefix_layer.
  LayerParameters(const std::vector<ParameterSlot>& layout, at::Tensor values, at::Tensor gradients,
                  const std::vector<AdapterParameters>& adapters, Parameter prefix)
      : layout_(layout),
        values_(std::move(values)),
        gradients_(std::move(gradients)),
        adapters_(adapters),
        prefix_(std::move(prefix)) {}

  at::ScalarType type() const { return values_.scalar_type(); }

  // The whole slots from the one called `first` on that together have `shape`; undefined when
  // the layer has no such slot.
  Parameter run(std::string_view first, at::IntArrayRef shape) const;
  // Of `in` to `out` numbers; its bias where the layer has one.
  Projection projection(std::string_view first, std::int64_t in, std::int64_t out,
                        Orientation orientation) const;
  // What an adapter does at the matrix of expert `expert` in the tensor `name`; null: nothing.
  std::unique_ptr<Adaptation> expert_adaptation(std::string_view name, std::int64_t expert) const;
  const Parameter& prefix() const { return prefix_; }  // undefined: none

 private:
  std::unique_ptr<Adaptation> adaptation(const ParameterSlot& first, std::int64_t in,
                                         std::int64_t out) const;

  const std::vector<ParameterSlot>& layout_;
  at::Tensor values_, gradients_;
  const std::vector<AdapterParameters>& adapters_;
  Parameter prefix_;
};

}  // namespace organ::train
