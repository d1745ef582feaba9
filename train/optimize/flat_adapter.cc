// SPDX-License-Identifier: Apache-2.0
#include "train/optimize/flat_adapter.h"

#include <ATen/ops/zeros_like.h>

#include "train/optimize/flat_layers.h"

namespace organ::train {

FlatAdapter::FlatAdapter(Model& model, const Adapter& adapter, bool decay_all)
    : model_(model),
      adapter_(adapter),
      buffers_(make_buffers(adapter, model, true)),
      first_moment_(at::zeros_like(buffers_.master)),
      second_moment_(at::zeros_like(buffers_.master)) {
  for (const AdapterSlot& slot : adapter.slots) {
    add_run(runs_, slot.offset, slot.elements, slot.decay || decay_all);
  }
  bind_adapter(model, adapter, buffers_);
}

FlatTensors FlatAdapter::tensors() const {
  return {buffers_.master, first_moment_, second_moment_, buffers_.gradient, buffers_.working};
}

void FlatAdapter::refresh_working() {
  if (!buffers_.working.is_same(buffers_.master)) buffers_.working.copy_(buffers_.master);
}

std::vector<TrainedTensor> FlatAdapter::collect() const {
  std::vector<TrainedTensor> tensors;
  const auto host = std::make_shared<const at::Tensor>(buffers_.master.cpu());
  for (const AdapterSlot& slot : adapter_.slots) {
    const float* values = host->const_data_ptr<float>() + slot.offset;
    tensors.push_back({adapter_.layer_of(slot),
                       adapter_.slot_name(slot),
                       {values, static_cast<std::size_t>(slot.elements)},
                       host});
  }
  return tensors;
}

}  // namespace organ::train
