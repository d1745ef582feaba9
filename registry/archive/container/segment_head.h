// SPDX-License-Identifier: Apache-2.0
// The block that says where everything of a segment is (schemas/archive.md, Head): its first and
// its last one. Pure bytes; what it says is held against the file by whoever reads that.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "format/base/digest.h"
#include "registry/archive/container/parity.h"

namespace organ::archive {

inline constexpr std::uint64_t kMostIndexBytes = std::uint64_t{256} << 20;  // of the JSON
inline constexpr std::uint64_t kMostChunks = std::uint64_t{1} << 28;        // of a segment
inline constexpr std::size_t kChunkEntryBytes = 24;                         // in the chunk table
inline constexpr std::size_t kSumBytes = 8;                                 // of a block

// Numbers of blocks in the file. Each part ends where the next begins.
struct SegmentLayout {
  std::uint64_t head = 0, payload = 0, index = 0, table = 0, sums = 0, parity = 0, second_sums = 0,
                tail = 0, end = 0;

  // What parity protects: payload, index and table.
  std::uint64_t protected_blocks() const { return sums - payload; }
  std::uint64_t parity_blocks() const { return second_sums - parity; }
  bool operator==(const SegmentLayout&) const = default;
};

struct SegmentHead {
  std::uint32_t number = 0;         // 0, 1, … in the order in which they were written
  std::uint64_t first_block = 1;    // its own, in the file
  std::uint64_t payload_bytes = 0;  // of all chunks as they are stored
  std::uint64_t frame_bytes = 0;    // of the index's zstd frame
  std::uint64_t index_bytes = 0;    // of the JSON in it
  std::uint64_t chunks = 0;         // entries of the chunk table
  ParityShape parity;               // both 0: none
  Digest index;                     // of the JSON, a line feed and the chunk table
  Digest previous;                  // of the head block before; of zeros alone in segment 0

  using Block = std::array<std::byte, kBlockBytes>;
  Block to_block() const;
  // The block as it was written, by its own digest. Throws corrupt naming `subject` for other
  // bytes, and for numbers that cannot be or pass a limit; unsupported_version.
  static SegmentHead parse(std::span<const std::byte> block, std::string_view subject);

  // Throws corrupt where the numbers pass 2^63 bytes.
  SegmentLayout layout() const;

  bool operator==(const SegmentHead&) const = default;
};

// Whole blocks that so many bytes take.
inline std::uint64_t blocks_of(std::uint64_t bytes) {
  return bytes / kBlockBytes + (bytes % kBlockBytes != 0 ? 1 : 0);
}

}  // namespace organ::archive
