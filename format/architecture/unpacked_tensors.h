// SPDX-License-Identifier: Apache-2.0
// The tensors of a layer that is stored in MXFP4, as they are once it is unpacked.
#pragma once

#include <vector>

#include "format/architecture/architecture.h"

namespace organ::format {

// A layer's tensors as the numbers they stand for: blocks [experts, out, in / 32, 16] and their
// scales become one tensor [experts, in, out], which is how gpt-oss lies unpacked, of any floating
// type. Other tensors stay as they are. Sorted by name. For layers of a known family.
std::vector<LayerTensor> unpacked_tensors(const std::vector<LayerTensor>& stored);

}  // namespace organ::format
