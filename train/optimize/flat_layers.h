// SPDX-License-Identifier: Apache-2.0
// Layers that train, and what is outside of them, as flat buffers bound to a model.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>
#include "format/architecture/layer_range.h"
#include "train/optimize/trained_parameters.h"

namespace organ::train {

// Joins the stretch to the last one where it can.
// Offset and elements count numbers. To be called in ascending order.
void add_run(std::vector<ParameterRun>& runs, std::int64_t offset, std::int64_t elements,
             bool decay);

// What trains beside the layers: nothing, or all that is outside of them.
enum class Ends { frozen, trained };

// Parameters of the trained layers with gradient and AdamW moments: flat buffers of
// layers x layer_elements numbers, to which the model's layers are bound, and behind them those of
// the ends. The master is what the checkpoint's files hold, exactly; the working copy is rounded
// from it, so that a number that nothing changes goes back with the bytes it came with.
class FlatLayers : public TrainedParameters {
 public:
  // `checkpoint` is the one that the model was loaded from.
  // Reads the numbers and binds the model to them: its forward reads the working copy, its backward
  // adds to the gradient, which is zero as the moments are. The model lives longer. decay_all:
  // weight decay for all, else as each slot says. Throws incompatible for a stored type that does
  // not train (F32, BF16, F16 do, and MXFP4 as BF16), io, corrupt.
  FlatLayers(Model& model, const format::Checkpoint& checkpoint, format::LayerRange layers,
             bool decay_all);
  // Layers in any order, each once.
  FlatLayers(Model& model, const format::Checkpoint& checkpoint,
             std::span<const std::uint64_t> layers, bool decay_all, Ends ends = Ends::frozen);

  std::int64_t trained_layers() const override { return static_cast<std::int64_t>(layers_.size()); }
  FlatTensors tensors() const override;
  const std::vector<ParameterRun>& runs() const override { return runs_; }
  // Rounds master to the working copy, to nearest even; nothing in fp32, where both are one.
  void refresh_working() override;
  // To nearest even. Throws incompatible where a finite number becomes infinite in its stored type.
  void round_to_stored_types(const format::Checkpoint& checkpoint) override;
  std::vector<TrainedTensor> collect() const override;  // by layer, then name

 private:
  // The slice of master that holds one slot of the n-th trained layer.
  at::Tensor slot(std::size_t layer, const ParameterSlot& slot) const;

  void bind(Model& model, bool decay_all);
  void bind_ends(Model& model, bool decay_all);
  void read_master(const format::Checkpoint& checkpoint);

  const Model& model_;
  std::vector<std::uint64_t> layers_;
  std::vector<ParameterSlot> ends_;  // offsets from the start of master; empty: frozen
  std::int64_t layer_elements_;
  at::Tensor master_, working_, gradient_, first_moment_, second_moment_;
  std::vector<ParameterRun> runs_;
};

}  // namespace organ::train
