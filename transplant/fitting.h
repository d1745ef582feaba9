// SPDX-License-Identifier: Apache-2.0
// What organs would fit a recipient, asked before one is at hand.
#pragma once

#include <vector>

#include "format/base/digest.h"
#include "format/checkpoint/checkpoint.h"

#pragma GCC visibility push(default)

namespace organ::transplant {

// The architecture signatures of runs of layers that the recipient has: an organ is of level A
// somewhere in it when its organ.json records one of these. Sorted, each once. Organs made before
// their family's maths were known, and of a T5 whose table has other bytes of the same values, may
// be of level A beside that; check_compatibility decides. Throws incompatible for a family whose
// layers cannot be told apart.
std::vector<Digest> fitting_signatures(const format::Checkpoint& recipient);

}  // namespace organ::transplant

#pragma GCC visibility pop
