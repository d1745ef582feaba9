// SPDX-License-Identifier: Apache-2.0
// The table that all layers of a stack share (T5's position biases), compared by its values: a copy
// of a model in another element type has the same one.
#pragma once

#include <map>
#include <optional>

#include "format/checkpoint/checkpoint.h"
#include "format/manifest/manifest.h"
#include "format/tensor/tensor.h"

namespace organ::format {

// SHA-256 of the table's bytes in each element type it was written out in.
struct SharedValues {
  DType stored = DType::F32;
  std::map<DType, Digest> digests;
};

// As stored and, of a table of F32, F16 or BF16, in all three (rounded to nearest even; types that
// cannot hold a value are left out). nullopt where layers share nothing. Throws io, corrupt.
std::optional<SharedValues> shared_values(const Checkpoint& checkpoint);

// What an organ tells of its own: organs of before only the stored form. nullopt as above.
std::optional<SharedValues> shared_values(const Manifest& manifest);

// Puts them into the manifest's optional field `shared_values`.
void record_shared_values(const SharedValues& values, Manifest& manifest);

// The element type in which both tables are equal, one of the types they are stored in: rounding
// may have made one of the other, nothing else. nullopt when they differ.
std::optional<DType> common_type(const SharedValues& a, const SharedValues& b);

}  // namespace organ::format
