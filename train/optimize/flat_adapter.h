// SPDX-License-Identifier: Apache-2.0
// An adapter that trains.
#pragma once

#include "train/model/adapter_binding.h"
#include "train/optimize/trained_parameters.h"

namespace organ::train {

class FlatAdapter : public TrainedParameters {
 public:
  // Borrows the model and the adapter, whose values it starts from.
  FlatAdapter(Model& model, const Adapter& adapter, bool decay_all);

  std::int64_t trained_layers() const override { return 0; }
  FlatTensors tensors() const override;
  const std::vector<ParameterRun>& runs() const override { return runs_; }
  void set_aside(bool aside) override { model_.leave_out_virtual_tokens(aside); }
  void refresh_working() override;
  void round_to_stored_types(const format::Checkpoint&) override {}  // fp32 is what is stored
  std::vector<TrainedTensor> collect() const override;

 private:
  Model& model_;
  const Adapter& adapter_;
  AdapterBuffers buffers_;
  at::Tensor first_moment_, second_moment_;
  std::vector<ParameterRun> runs_;
};

}  // namespace organ::train
