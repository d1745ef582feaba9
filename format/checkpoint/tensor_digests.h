// SPDX-License-Identifier: Apache-2.0
// What the tensors of a checkpoint are, in whatever files they lie.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "format/base/digest.h"
#include "format/checkpoint/checkpoint.h"

namespace organ::format {

// "NAME DTYPE SHAPE sha256:<hex of its bytes>\n", NAME as its file has it.
struct TensorLine {
  const TensorInfo* tensor;  // borrowed from the checkpoint
  std::string text;
};

// Of every tensor of the checkpoint, of one in several shards that of the last, sorted by text.
// Reads them all once; `work` is told of their bytes. Throws corrupt, io, cancelled.
std::vector<TensorLine> tensor_lines(const Checkpoint& checkpoint, const Work& work = {});

// SHA-256 of all lines, in the order given (tensor_lines()'s): equal weights have one digest,
// however they are sharded.
Digest weights_digest(std::span<const TensorLine> lines);

}  // namespace organ::format
