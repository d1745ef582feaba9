// SPDX-License-Identifier: Apache-2.0
// Which tensor of a checkpoint holds NaN or infinity.
#pragma once

#include <optional>

#include "format/base/finding.h"
#include "format/checkpoint/checkpoint.h"

namespace organ::format {

// The first in the order of the shards, with the place of its first such number; nullopt when all
// are finite. Reads every tensor up to it. Throws io.
std::optional<Finding> first_not_finite_tensor(const Checkpoint& checkpoint);

}  // namespace organ::format
