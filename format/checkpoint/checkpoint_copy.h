// SPDX-License-Identifier: Apache-2.0
// A checkpoint folder as a copy of another one with some tensors changed.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "format/checkpoint/checkpoint.h"

namespace organ::format {

// New bytes for one tensor: of the same dtype and shape, in the shard that holds it.
struct ReplacedTensor {
  std::size_t shard;
  TensorSource source;
};

// Writes `out`, which appears whole or not at all: shards without a change are shared by reflink
// where the file system can and copied otherwise, every other plain file is copied but
// `record_name` and what belongs_to_old_weights(), and `record_name` beside them holds `record`.
// Folder and files have the permissions of those that they are copies of, less the umask's.
// Throws already_exists, corrupt (a file is a link that leads out of the model), io, cancelled.
void copy_checkpoint_with(const Checkpoint& checkpoint, std::vector<ReplacedTensor> changes,
                          const std::filesystem::path& out, std::string_view record_name,
                          std::string_view record, const Work& work = {});

}  // namespace organ::format
