// SPDX-License-Identifier: Apache-2.0
// An adapter made part of the weights it stands beside.
#pragma once

#include <filesystem>

#include "format/base/progress.h"
#include "format/checkpoint/checkpoint.h"
#include "train/adapter/adapter.h"

namespace organ::train {

// Writes `out`, a copy of the checkpoint folder in which every adapted weight W is W + scale B A
// (LoRA) or scaled along its outputs, bias too, or its inputs (IA3): computed in double, then
// rounded to the stored type. merge.json beside the weights says which adapter and which tensors.
// Throws incompatible for bottleneck adapters, which are no change of weights,
// and for weights not stored as F32, BF16 or F16; already_exists, io, cancelled.
void merge_adapter(const format::Checkpoint& checkpoint, const Adapter& adapter,
                   const std::filesystem::path& out, const Work& work = {});

}  // namespace organ::train
