// SPDX-License-Identifier: Apache-2.0
#include "format/architecture/unpacked_tensors.h"

#include <algorithm>

#include "format/tensor/mxfp4.h"

namespace organ::format {

std::vector<LayerTensor> unpacked_tensors(const std::vector<LayerTensor>& stored) {
  std::vector<LayerTensor> tensors;
  for (const LayerTensor& tensor : stored) {
    if (tensor.name.ends_with(kMxfp4Scales)) continue;
    LayerTensor& unpacked = tensors.emplace_back(tensor);
    if (!tensor.name.ends_with(kMxfp4Blocks)) continue;
    unpacked.name.resize(tensor.name.size() - kMxfp4Blocks.size());
    unpacked.shape = {tensor.shape.at(0), tensor.shape.at(2) * kMxfp4BlockValues,
                      tensor.shape.at(1)};
    unpacked.dtype = std::nullopt;
  }
  std::sort(tensors.begin(), tensors.end(),
            [](const LayerTensor& a, const LayerTensor& b) { return a.name < b.name; });
  return tensors;
}

}  // namespace organ::format
