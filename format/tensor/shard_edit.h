// SPDX-License-Identifier: Apache-2.0
// A new shard = an old shard with the bytes of some tensors replaced. The header keeps its bytes
// (white space, key order, metadata), so a shard written by any tool can be restored exactly.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "format/base/digest.h"
#include "format/tensor/safetensors.h"

namespace organ::format {

// The flat SHA-256 of the file as it was read and as it was written; sizes are equal.
struct ShardEdit {
  std::uint64_t size = 0;
  Digest before;
  Digest after;
};

// Copies `shard` into the empty file `to` with the replacements in place of its own bytes, in one
// pass: every byte of the shard is read once, every byte of `to` written once (where the file
// system shares bytes by reflink, only those that change). Every replacement must have the dtype
// and shape of the tensor it replaces. `to` must be open for writing; it is not synced, and
// messages call it `to_subject`. Throws not_found for an unknown tensor, invalid_argument for
// another dtype or shape, both before anything is written; conflict when the shard has another size
// than when it was opened; io, cancelled. `replaced` is given the old bytes of every replaced
// tensor, from its first to its last.
using OldBytes = std::function<void(const TensorInfo& stored, std::uint64_t offset,
                                    std::span<const std::byte> bytes)>;
ShardEdit copy_shard_with(const SafetensorsFile& shard, int to, std::string_view to_subject,
                          const std::vector<TensorSource>& replacements, const Work& work = {},
                          const OldBytes& replaced = {});

// The same for whoever needs no digests: of bytes that are shared none is read.
void write_shard_with(const SafetensorsFile& shard, int to, std::string_view to_subject,
                      const std::vector<TensorSource>& replacements, const Work& work = {});

// What both tell their work: the bytes of the shard.
std::uint64_t edit_size(const SafetensorsFile& shard);

// The room that the new shard takes; `shares`: it can share the bytes that stay (RoomForCopies).
std::uint64_t written_size(const SafetensorsFile& shard,
                           const std::vector<TensorSource>& replacements, bool shares);

}  // namespace organ::format
