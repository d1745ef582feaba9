// SPDX-License-Identifier: Apache-2.0
// A checkpoint folder as a copy of another one with some tensors changed.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "format/checkpoint/checkpoint.h"
#include "format/checkpoint/folder_rules.h"

namespace organ::format {

// New bytes for one tensor: of the same dtype and shape, in the shard that holds it.
struct ReplacedTensor {
  std::size_t shard;
  TensorSource source;
};

// For whoever changes a tensor: with a copy of it in another shard the change would be half. Throws
// incompatible.
void require_stored_once(const Checkpoint& checkpoint, std::string_view name);

// What a copy of the folder leaves behind, by name: entries that are no files of a model
// (visit_model_files) and what belongs_to_old_weights(). Throws io.
std::vector<LeftOut> left_out_of_copy(const Checkpoint& checkpoint);

// Writes `out`, which appears whole or not at all: shards without a change are shared by reflink
// where the file system can and copied otherwise, every other file is copied but `record_name` and
// left_out_of_copy(), and `record_name` beside them holds `record`. Folder and files have the
// permissions of those that they are copies of, less the umask's. Throws incompatible for a change
// of a tensor that is stored twice, already_exists, conflict
// (a shard has another size than when it was opened), io (also before the first byte, when there is
// no room), cancelled.
void copy_checkpoint_with(const Checkpoint& checkpoint, std::vector<ReplacedTensor> changes,
                          const std::filesystem::path& out, std::string_view record_name,
                          std::string_view record, const Work& work = {});

}  // namespace organ::format
