// SPDX-License-Identifier: Apache-2.0
// An adapter that trains.
#pragma once

#include "train/model/adapter_binding.h"
#include "train/optimize/trained_parameters.h"

namespace organ::train {

// The adapter's numbers as one flat run of fp32 in the order of its slots, with gradient and AdamW
// moments on the model's device, all zero at first. The working copy is in the model's precision.
// The adapter itself stays as it was: collect() gives the trained values. Not thread-safe.
class FlatAdapter : public TrainedParameters {
 public:
  // Borrows the model and the adapter, whose values it starts from.
  // Binds it to the model, which computes with it from here on; both live longer. decay_all: weight
  // decay for every slot, else for those that ask for it.
  FlatAdapter(Model& model, const Adapter& adapter, bool decay_all);

  std::int64_t trained_layers() const override { return 0; }
  FlatTensors tensors() const override;
  const std::vector<ParameterRun>& runs() const override { return runs_; }
  // Leaves out the virtual tokens, and nothing else.
  void set_aside(bool aside) override { model_.leave_out_virtual_tokens(aside); }
  void refresh_working() override;
  void round_to_stored_types(const format::Checkpoint&) override {}  // fp32 is what is stored
  // In the order of the slots, as layer_of and slot_name of the adapter call them; fp32 as trained.
  std::vector<TrainedTensor> collect() const override;

 private:
  Model& model_;
  const Adapter& adapter_;
  AdapterBuffers buffers_;
  at::Tensor first_moment_, second_moment_;
  std::vector<ParameterRun> runs_;
};

}  // namespace organ::train
