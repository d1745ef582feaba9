// SPDX-License-Identifier: Apache-2.0
// From checkpoint tensors (BF16, F16, F32, F64) to fp32 or bf16 tensors in memory.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include <ATen/core/Tensor.h>

#include "format/checkpoint/checkpoint.h"

namespace organ::train {

// The tensors of one layer of a checkpoint, by name.
using StoredLayer = std::map<std::string, format::Checkpoint::Location>;

// Reads one tensor into `out` (contiguous, fp32 or bf16, as many elements as stored; exact, rounded
// to nearest even where the stored type has more bits), on any device; piece by piece, so that
// there is no second copy of a large tensor. Throws incompatible for another stored type, internal
// for another number of elements, corrupt, io.
void read_weights(const format::Checkpoint& checkpoint, format::Checkpoint::Location location,
                  const at::Tensor& out);

// The same into a new tensor, by name; the stored shape must be `shape`, else corrupt.
at::Tensor read_tensor(const format::Checkpoint& checkpoint, std::string_view name,
                       at::IntArrayRef shape, at::ScalarType type, at::Device device);

// One tensor of a layer, by the name training has for it, from checkpoint.layer(index). MXFP4
// blocks and scales become the numbers they stand for, [experts, in, out].
void read_layer_tensor(const format::Checkpoint& checkpoint, const StoredLayer& layer,
                       const std::string& name, const at::Tensor& out);

// What a tensor is stored as once it is trained: its own type; BF16 for what lies as MXFP4.
format::DType trained_type(const StoredLayer& layer, const std::string& name);

}  // namespace organ::train
