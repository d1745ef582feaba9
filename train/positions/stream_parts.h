// SPDX-License-Identifier: Apache-2.0
// The residual stream of an encoder-decoder. Each row is the encoder's positions, the source, then
// the decoder's, the target; the layers of a stack change one part and leave the other.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "train/positions/batch.h"

namespace organ::train {

// Which positions of a row a layer changes: all of them; the encoder's; the decoder's, reading the
// encoder's.
enum class StreamPart : std::uint8_t { whole, source, target };

// Of x [rows * length] or [rows * length, d]: the part of each row, a view where it can be.
at::Tensor source_part(const at::Tensor& x, const Batch& batch);
at::Tensor target_part(const at::Tensor& x, const Batch& batch);
// The adjoint: a new stream [rows * length, d].
at::Tensor join_parts(const at::Tensor& source, const at::Tensor& target, const Batch& batch);

// The shape of a part, and for the source what its positions see; without ids and targets.
Batch source_batch(const Batch& batch);
Batch target_batch(const Batch& batch);

}  // namespace organ::train
