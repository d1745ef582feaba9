// SPDX-License-Identifier: Apache-2.0
// The layers that run while an organ trains, from its input to the loss, and their flat storage.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "format/organ/extraction.h"
#include "train/model/model.h"
#include "train/optimize/trained_parameters.h"

namespace organ::train {

// Joins the stretch to the last one where it can.
void add_run(std::vector<ParameterRun>& runs, std::int64_t offset, std::int64_t elements,
             bool decay);

// What trains beside the layers: nothing, or all that is outside of them.
enum class Ends { frozen, trained };

// Parameters of the trained layers with gradient and AdamW moments: flat buffers of
// layers x layer_elements numbers, to which the model's layers are bound, and behind them those of
// the ends.
class FlatLayers : public TrainedParameters {
 public:
  FlatLayers(Model& model, format::LayerRange layers, bool decay_all);
  // Layers in any order, each once.
  FlatLayers(Model& model, std::span<const std::uint64_t> layers, bool decay_all,
             Ends ends = Ends::frozen);

  std::int64_t trained_layers() const override { return static_cast<std::int64_t>(layers_.size()); }
  FlatTensors tensors() const override;
  const std::vector<ParameterRun>& runs() const override { return runs_; }
  void refresh_working() override;
  void round_to_stored_types(const format::Checkpoint& checkpoint) override;
  std::vector<TrainedTensor> collect() const override;  // by layer, then name

 private:
  // The slice of master that holds one slot of the n-th trained layer.
  at::Tensor slot(std::size_t layer, const ParameterSlot& slot) const;

  void bind(Model& model, bool decay_all);
  void bind_ends(Model& model, bool decay_all);

  const Model& model_;
  std::vector<std::uint64_t> layers_;
  std::vector<ParameterSlot> ends_;  // offsets from the start of master; empty: frozen
  std::int64_t layer_elements_;
  at::Tensor master_, working_, gradient_, first_moment_, second_moment_;
  std::vector<ParameterRun> runs_;
};

// The stream that enters layer 0 of the checkpoint's stack.
at::Tensor stack_input(Model& model, const Batch& batch);

// What a forward pass keeps for its backward: everything, or each layer's input alone, from which
// the layer is computed again (T. Chen et al., arXiv 1604.06174). The bits are the same.
enum class Activations { kept, recomputed };

// Forward and backward from the organ's input to the loss. Layers [first, last) of the model train,
// layers [last, top) pass gradients through.
class LossPath {
 public:
  LossPath(Model& model, std::int64_t first, std::int64_t last, std::int64_t top,
           Activations activations = Activations::kept)
      : model_(model), first_(first), last_(last), top_(top), activations_(activations) {}

  // Adds d(sum NLL x scale)/dw of the trained layers to their gradients.
  LossSum accumulate_gradient(at::Tensor x, const Batch& batch, double scale);
  LossSum loss(at::Tensor x, const Batch& batch);

  // Floating-point operations of one accumulate_gradient per row of `length` positions, the first
  // `source` of them an encoder's; matrix products only, those computed again are not counted. Of
  // virtual positions those of one document a row.
  double flops_per_row(std::int64_t length, std::int64_t source) const;

 private:
  Model& model_;
  std::int64_t first_, last_, top_;
  Activations activations_;
};

}  // namespace organ::train
