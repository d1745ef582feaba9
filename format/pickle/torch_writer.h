// SPDX-License-Identifier: Apache-2.0
// A state dict as torch.load(FILE, weights_only=True) reads it, in the layout of torch 1.6 and
// later.
#pragma once

#include <string_view>
#include <vector>

#include "format/base/progress.h"
#include "format/tensor/safetensors.h"

#pragma GCC visibility push(default)

namespace organ::format {

// Writes an OrderedDict of the tensors, in their order, to an empty file; equal tensors give equal
// bytes. `work` is told of the tensors' bytes. Throws invalid_argument for two
// tensors of one name; incompatible for an element type that torch lacks, or what passes the limits
// of TorchFile (tensors, rank, names, bytes of the pickle), before anything is written; io,
// cancelled.
void write_torch_file(int fd, const std::vector<TensorSource>& tensors, std::string_view subject,
                      const Work& work = {});

}  // namespace organ::format

#pragma GCC visibility pop
