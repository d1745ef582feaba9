// SPDX-License-Identifier: Apache-2.0
// One plane of a chunk (a byte of each of its numbers, or what stands for it) and how it is
// written: three bytes, little-endian, of which the two highest bits are the form and the others
// the length of what follows, then that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "registry/archive/codec/byte_stream.h"
#include "registry/archive/codec/zstd_frames.h"

namespace organ::archive {

enum class PlaneForm : std::uint8_t {
  stored = 0,    // the bytes themselves
  frame = 1,     // a zstd frame
  constant = 2,  // one byte, which all are; nothing when the plane has none
  sparse = 3,    // a plane of bits, which bytes are not 0 (the first is the lowest), then theirs
};

// The largest plane: what a chunk of bytes is.
inline constexpr std::size_t kMaxPlane = std::size_t{1} << 20;

// What is expected of a plane, which says what is tried.
enum class PlaneKind : std::uint8_t { skewed, repeating };

// Appends the plane in the shortest of its forms. Throws bad_alloc.
void append_plane(std::span<const std::byte> bytes, PlaneKind kind, ZstdFrames& frames,
                  std::vector<std::byte>& out);

// Fills `plane` with what append_plane wrote of as many bytes. Throws corrupt.
void take_plane(ByteReader& from, ZstdFrames& frames, std::span<std::byte> plane);

}  // namespace organ::archive
