// SPDX-License-Identifier: Apache-2.0
// A new shard = an old shard with the bytes of some tensors replaced. The header keeps its bytes
// (white space, key order, metadata), so a shard written by any tool can be restored exactly.
#pragma once

#include <cstdint>
#include <vector>

#include "format/base/digest.h"
#include "format/tensor/safetensors.h"

namespace organ::format {

// The flat SHA-256 of the file as it was copied and as it is after the edit; sizes are equal.
struct ShardEdit {
  std::uint64_t size = 0;
  Digest before;
  Digest after;
};

// Copies `shard` into the empty file `to` (reflink where the file system can), then writes the
// replacements over it. Every replacement must have the dtype and shape of the tensor it
// replaces. `to` must be open for reading and writing; it is not synced. Throws invalid_argument
// for an unknown tensor, another dtype or shape; io, cancelled.
ShardEdit copy_shard_with(const SafetensorsFile& shard, int to,
                          const std::vector<TensorSource>& replacements, const Work& work = {});

// What copy_shard_with tells its work: the copy, its digest, the replacements, the new digest.
std::uint64_t edit_size(const SafetensorsFile& shard,
                        const std::vector<TensorSource>& replacements);

}  // namespace organ::format
