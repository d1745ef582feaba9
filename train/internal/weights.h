// SPDX-License-Identifier: Apache-2.0
// From checkpoint tensors (BF16, F16, F32) to fp32 or bf16 tensors in memory.
#pragma once

#include <ATen/core/Tensor.h>

#include "format/checkpoint.h"

namespace organ::train {

// Reads one tensor into `out` (contiguous, fp32 or bf16, as many elements as stored; rounded to
// nearest even where it has fewer bits). Throws incompatible for another stored type, corrupt.
void read_weights(const format::Checkpoint& checkpoint, format::Checkpoint::Location location,
                  at::Tensor out);

// The same into a new tensor; the stored shape must be `shape`, else corrupt.
at::Tensor read_tensor(const format::Checkpoint& checkpoint, std::string_view name,
                       at::IntArrayRef shape, at::ScalarType type);

}  // namespace organ::train
