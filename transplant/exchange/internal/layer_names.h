// SPDX-License-Identifier: Apache-2.0
// Which tensor of a donor_layers.pt is which tensor of which layer.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "format/architecture/architecture.h"
#include "format/architecture/layer_range.h"
#include "format/pickle/torch_file.h"

namespace organ::transplant::internal {

struct DonorTensors {
  std::uint64_t first = 0;  // number of the first layer, as the names count
  // By their names relative to the layer; borrowed from the file.
  std::vector<std::map<std::string, const format::TorchTensor*, std::less<>>> layers;
  std::vector<std::string> ready_made;  // buffers that nothing reads, left out
};

// Names are [ANYTHING]N.NAME, NAME that of a tensor of the model's layers and N the layer's number:
// "0.mlp.up_proj.weight", "model.layers.7.mlp.up_proj.weight", "layer_7.mlp.up_proj.weight".
// ANYTHING is one text, and the numbers follow one another. Throws incompatible naming the tensors
// that are none of a layer.
DonorTensors sort_tensors(const format::TorchFile& file, const format::Architecture& model);

// Every layer has the tensors that the model's layer has in this place, in their shapes. Throws
// incompatible naming the first that is missing, too many, or of another shape or type.
void check_tensors(const DonorTensors& donor, const format::Architecture& model,
                   format::LayerRange layers, std::string_view subject);

}  // namespace organ::transplant::internal
