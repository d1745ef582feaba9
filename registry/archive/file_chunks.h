// SPDX-License-Identifier: Apache-2.0
// How a file is cut into chunks for the codec: at the ends of tensors, and within them where a
// chunk is full, so that every chunk holds numbers of one type or what stands between tensors.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "format/tensor/tensor.h"
#include "registry/archive/codec/element_type.h"

namespace organ::archive {

struct FileChunk {
  std::uint64_t offset = 0;  // in the file
  std::uint32_t size = 0;    // 1 to kMaxChunk
  ElementType type;
  // Where the same numbers begin in the base file; nullopt: it has no such tensor.
  std::optional<std::uint64_t> base_offset;

  bool operator==(const FileChunk&) const = default;
};

// The tensors of a file, ordered by offset, which counts from data_start; none of a file that is no
// safetensors. They lie within the file and do not overlap (format/tensor/safetensors.h).
struct FileLayout {
  std::uint64_t size = 0;  // bytes of the file
  std::uint64_t data_start = 0;
  std::span<const format::TensorInfo> tensors;
};

// The chunks of a file in order, without a gap. A tensor goes back to the one of the base that has
// its name, type and shape. Chunks are cut at the same places whatever the base is.
std::vector<FileChunk> cut_file(const FileLayout& file, const FileLayout* base = nullptr);

}  // namespace organ::archive
