// SPDX-License-Identifier: Apache-2.0
// How the parameters of a layer lie in one flat run of numbers, and views of that run.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <ATen/core/Tensor.h>

#include "format/architecture/architecture.h"
#include "train/weights/adaptation.h"
#include "train/weights/parameter.h"
#include "train/weights/projection.h"
#include "train/weights/tensor_names.h"

namespace organ::train {

// The slots of the tensors that an architecture lists, in the order of `names`, one behind the
// other without gaps. Tensors that `names` does not order get none; MXFP4 ones are to be given
// unpacked (format::unpacked_tensors).
std::vector<ParameterSlot> storage_layout(const std::vector<format::LayerTensor>& tensors,
                                          const TensorNames& names);

// The parameters of one layer and, where it trains, their gradients; and what an adapter does at
// its projections. All that it gives are views of the two runs, which they keep alive: what is
// written there later is what they read.
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

  // Of the values, fp32 or bf16; gradients are fp32 whatever it is.
  at::ScalarType type() const { return values_.scalar_type(); }

  // The whole slots from the one called `first` on that together have `shape`; undefined when
  // the layer has no such slot. Throws internal when no number of whole slots has that many
  // numbers.
  Parameter run(std::string_view first, at::IntArrayRef shape) const;
  // Of `in` to `out` numbers; its bias where the layer has one. `first` is without ".weight"; where
  // matrices are fused, `out` is of all of them, and so are the adapters. Throws internal without
  // the matrix, incompatible as make_adaptation.
  Projection projection(std::string_view first, std::int64_t in, std::int64_t out,
                        Orientation orientation) const;
  // What an adapter does at the matrix of expert `expert` in the tensor `name`; null: nothing. It
  // holds views of this expert's rows of A and columns of B alone.
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
