// SPDX-License-Identifier: Apache-2.0
// owc1, the codec of weights in an archive: a chunk of a file, at most kMaxChunk bytes of one
// tensor or of what stands between tensors, in the form that is shortest. Lossless: every bit
// comes back, NaN payloads too. What a chunk holds, how long it is and what it goes back to is
// known from elsewhere (the archive's index), and what comes out is checked there by its digest.
// One object a thread; no state between chunks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "registry/archive/codec/element_type.h"
#include "registry/archive/codec/plane.h"
#include "registry/archive/codec/zstd_frames.h"

namespace organ::archive {

inline constexpr std::size_t kMaxChunk = kMaxPlane;

enum class ChunkForm : std::uint8_t {
  raw = 0,
  frame = 1,        // one zstd frame
  planes = 2,       // number_planes.h, each written as plane.h says
  steps = 3,        // ordered_delta.h
  differences = 4,  // planes of bytes XOR base
};

struct Chunk {
  ChunkForm form = ChunkForm::raw;
  std::vector<std::byte> payload;
};

class ChunkEncoder {
 public:
  // `base` is empty, or as long as `bytes`: the same place of an earlier version. A chunk that is
  // no whole number of elements is taken as bytes. Valid until the next call. Throws bad_alloc.
  const Chunk& encode(std::span<const std::byte> bytes, const ElementType& type,
                      std::span<const std::byte> base = {});

 private:
  void alone(std::span<const std::byte> bytes, const ElementType& type);
  bool is_frame(std::span<const std::byte> bytes, const ElementType& type);
  void against(std::span<const std::byte> bytes, const ElementType& type,
               std::span<const std::byte> base);
  void add_planes(std::span<const std::byte> bytes, const ElementType& type, PlaneKind kind);

  ZstdFrames frames_;
  Chunk chunk_;
  std::vector<std::byte> planes_, differences_, tried_;
};

class ChunkDecoder {
 public:
  // Fills `bytes` with what was encoded, with the same type and base. Throws corrupt; `bytes` then
  // holds anything.
  void decode(ChunkForm form, std::span<const std::byte> payload, const ElementType& type,
              std::span<const std::byte> base, std::span<std::byte> bytes);

 private:
  ZstdFrames frames_;
  std::vector<std::byte> planes_;
};

}  // namespace organ::archive
