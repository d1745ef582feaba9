// SPDX-License-Identifier: Apache-2.0
// What the tensors of a checkpoint are, in whatever files they lie.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/digest.h"
#include "format/checkpoint/checkpoint.h"

namespace organ::format {

// For each tensor that `wanted` names the line "NAME DTYPE SHAPE sha256:<hex of its bytes>\n",
// sorted. Reads those tensors once; `work` is told of their bytes. Throws corrupt, io, cancelled.
std::vector<std::string> tensor_lines(const Checkpoint& checkpoint,
                                      const std::function<bool(std::string_view)>& wanted,
                                      const Work& work = {});

// SHA-256 of the lines of all tensors: equal weights have one digest, however they are sharded.
Digest weights_digest(const Checkpoint& checkpoint, const Work& work = {});

}  // namespace organ::format
