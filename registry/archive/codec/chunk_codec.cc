// SPDX-License-Identifier: Apache-2.0
#include "registry/archive/codec/chunk_codec.h"

#include <algorithm>

#include "format/base/fail.h"
#include "registry/archive/codec/number_planes.h"
#include "registry/archive/codec/ordered_delta.h"

namespace organ::archive {
namespace {

constexpr ElementType kBytes{};

// Less than this is not worth the time that it takes to read.
constexpr std::size_t worth(std::size_t raw) { return raw - raw / 64; }

// What a few per cent of a chunk take as one frame, in shares of them: long repetitions, as zeros,
// padding and tables have them, are found in a piece too.
constexpr std::size_t kPiece = std::size_t{16} << 10;

ElementType fitting(const ElementType& type, std::size_t size) {
  return size % type.width == 0 ? type : kBytes;
}

void take_planes(ByteReader from, const ElementType& type, ZstdFrames& frames,
                 std::span<std::byte> planes) {
  const std::size_t size = planes.size() / type.width;
  for (unsigned i = 0; i < type.width; ++i) {
    take_plane(from, frames, planes.subspan(i * size, size));
  }
  from.require_end();
}

}  // namespace

const Chunk& ChunkEncoder::encode(std::span<const std::byte> bytes, const ElementType& type,
                                  std::span<const std::byte> base) {
  check(bytes.size() <= kMaxChunk && (base.empty() || base.size() == bytes.size()),
        "a chunk of another size");
  const ElementType fits = fitting(type, bytes.size());
  if (base.empty()) {
    alone(bytes, fits);
  } else {
    against(bytes, fits, base);
  }
  if (chunk_.payload.size() >= worth(bytes.size())) {
    chunk_.form = ChunkForm::raw;
    chunk_.payload.assign(bytes.begin(), bytes.end());
  }
  return chunk_;
}

// The planes of all numbers, behind what the payload has.
void ChunkEncoder::add_planes(std::span<const std::byte> bytes, const ElementType& type,
                              PlaneKind kind) {
  planes_.resize(bytes.size());
  split_planes(bytes, type, planes_);
  const std::size_t size = planes_.size() / type.width;
  for (unsigned i = 0; i < type.width; ++i) {
    append_plane(std::span(planes_).subspan(i * size, size), kind, frames_, chunk_.payload);
  }
}

// Whether repetitions save more than planes do, judged by a piece from the middle.
bool ChunkEncoder::is_frame(std::span<const std::byte> bytes, const ElementType& type) {
  const std::size_t size = std::min(kPiece, bytes.size()) / type.width * type.width;
  const auto piece = bytes.subspan((bytes.size() - size) / 2 / type.width * type.width, size);
  chunk_.payload.clear();
  add_planes(piece, type, PlaneKind::skewed);
  tried_.clear();
  return frames_.append(piece, chunk_.payload.size(), tried_);
}

void ChunkEncoder::alone(std::span<const std::byte> bytes, const ElementType& type) {
  chunk_.form = is_frame(bytes, type) ? ChunkForm::frame : ChunkForm::planes;
  chunk_.payload.clear();
  if (chunk_.form == ChunkForm::planes) return add_planes(bytes, type, PlaneKind::skewed);
  if (!frames_.append(bytes, bytes.size(), chunk_.payload)) {
    chunk_.payload.assign(bytes.begin(), bytes.end());
  }
}

void ChunkEncoder::against(std::span<const std::byte> bytes, const ElementType& type,
                           std::span<const std::byte> base) {
  if (type.is_float) {
    // A step takes its width and about two bits more; beyond this the planes are shorter.
    constexpr double kMostOfWidth = 0.7;
    if (sampled_step_bits(bytes, base, type) > kMostOfWidth * 8 * type.width) {
      return alone(bytes, type);
    }
    chunk_.form = ChunkForm::steps;
    chunk_.payload.clear();
    return append_ordered_delta(bytes, base, type, frames_, chunk_.payload);
  }
  alone(bytes, type);
  const std::vector<std::byte> without = chunk_.payload;
  const ChunkForm form = chunk_.form;
  differences_.resize(bytes.size());
  std::ranges::transform(bytes, base, differences_.begin(), std::bit_xor<>());
  chunk_.form = ChunkForm::differences;
  chunk_.payload.clear();
  add_planes(differences_, type, PlaneKind::repeating);
  if (chunk_.payload.size() < without.size()) return;
  chunk_.form = form;
  chunk_.payload = without;
}

void ChunkDecoder::decode(ChunkForm form, std::span<const std::byte> payload,
                          const ElementType& type, std::span<const std::byte> base,
                          std::span<std::byte> bytes) {
  check(bytes.size() <= kMaxChunk, "a chunk of another size");
  const ElementType fits = fitting(type, bytes.size());
  const bool needs_base = form == ChunkForm::steps || form == ChunkForm::differences;
  if (needs_base && base.size() != bytes.size()) {
    fail(ErrorCode::corrupt, "a chunk that goes back to a base of {}, expected {}",
         counted(base.size(), "byte"), bytes.size());
  }
  if (form == ChunkForm::differences && fits.is_float) {
    fail(ErrorCode::corrupt, "differences of floats, which are written as steps");
  }
  switch (form) {
    case ChunkForm::raw:
      if (payload.size() != bytes.size()) {
        fail(ErrorCode::corrupt, "a raw chunk has {}, expected {}", counted(payload.size(), "byte"),
             bytes.size());
      }
      std::ranges::copy(payload, bytes.begin());
      return;
    case ChunkForm::frame: return frames_.decode(payload, bytes);
    case ChunkForm::planes:
    case ChunkForm::differences:
      planes_.resize(bytes.size());
      take_planes(ByteReader(payload), fits, frames_, planes_);
      join_planes(planes_, fits, bytes);
      if (!needs_base) return;
      std::ranges::transform(bytes, base, bytes.begin(), std::bit_xor<>());
      return;
    case ChunkForm::steps:
      if (!fits.is_float) fail(ErrorCode::corrupt, "steps of what are no floats");
      return take_ordered_delta(ByteReader(payload), base, fits, frames_, bytes);
  }
  fail(ErrorCode::corrupt, "a chunk of form {}, which is not known", static_cast<unsigned>(form));
}

}  // namespace organ::archive
