// SPDX-License-Identifier: Apache-2.0
// What a run trains, as the run sees it: flat buffers, whatever their numbers mean.
#pragma once

#include <memory>
#include <vector>

#include "format/checkpoint/checkpoint.h"
#include "train/model/model.h"
#include "train/optimize/flat_optimizer.h"
#include "train/optimize/trained_tensor.h"

namespace organ::train {

// Numbers with gradient and AdamW moments, bound to a model whose backward adds to the gradient.
class TrainedParameters {
 public:
  virtual ~TrainedParameters() = default;
  // Layers whose own weights train.
  virtual std::int64_t trained_layers() const = 0;
  // Handles of the same buffers each time: who writes to them writes to what trains.
  virtual FlatTensors tensors() const = 0;                      // where the model is
  FlatParameters view() const { return flat_view(tensors()); }  // of a model on the CPU
  // They tile the buffers, in ascending order. Valid while this lives.
  virtual const std::vector<ParameterRun>& runs() const = 0;
  // Whether the model computes as if they were not there: what they start as may change it.
  virtual void set_aside(bool /*aside*/) {}
  // Called when the gradient of a step is whole, before anything reads it.
  virtual void finish_gradient() {}
  // After writing to master: the working copy follows, to nearest or as update number `update`
  // left it.
  virtual void refresh_working() = 0;
  void refresh_working(std::uint64_t update) { round_working(tensors(), update); }
  // The values a reader of the result will find: rounded to the types they are stored in. Throws
  // incompatible for a type that does not train.
  // To be called when nothing trains any more; master and working copy hold them from then on.
  virtual void round_to_stored_types(const format::Checkpoint& checkpoint) = 0;
  // They share the memory of the numbers where the model is on the host: nothing trains afterwards.
  virtual std::vector<TrainedTensor> collect() const = 0;
};

}  // namespace organ::train
